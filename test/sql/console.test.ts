import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { as, createOperator, createUser } from "../kit/actors.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { createPushes } from "../support/pushes.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

let database: TestDatabase;
let worker: TestWorker;
let operator: number;
let pushes: ReturnType<typeof createPushes>;

beforeAll(async () => {
  database = await createTestDatabase();
  worker = await startTestWorker(database);
  operator = await createOperator(database);
  pushes = createPushes(database);
});
afterAll(async () => {
  await worker.stop();
  await database.drop();
});

const ask = (text: string, values: unknown[] = []) =>
  as(database, { operator }, async (client) => (await client.query(text, values)).rows, {
    commit: true,
  });

describe("retry_deliveries()", () => {
  it("sends again what FCM refused, also to a dead address whose app is back, and nothing else", async () => {
    const refused = await pushes.userWithDevices("good", "good");
    const dead = await pushes.userWithDevices("unregistered");
    const id = await pushes.notify([refused.id, dead.id]);
    await pushes.settled(id);
    await expect(ask("select app_public.retry_deliveries($1)", [id])).rejects.toMatchObject({
      code: "HWCFL",
    });
    await database.owner.query(
      `update app_public.notification_deliveries d set status = 'failed', error_code = 'INVALID_ARGUMENT'
       from app_public.device_tokens t where t.id = d.device_token_id and t.token = $1`,
      [refused.tokens[0]],
    );
    await ask("select app_public.retry_deliveries($1)", [id]);
    const again = await pushes.settled(id);
    expect(again.status).toBe("partial");
    expect(again.deliveries.map(({ attempts }) => attempts)).toEqual([2, 1, 1]);

    await database.owner.query(
      "update app_public.device_tokens set token = 'good-again', disabled_at = null, disabled_reason = null where token = $1",
      [dead.tokens[0]],
    );
    await ask("select app_public.retry_deliveries($1)", [id]);
    expect((await pushes.settled(id)).status).toBe("sent");
  });

  it("refuses what was canceled, what nobody knows of and what has expired", async () => {
    const { id: user } = await pushes.userWithDevices("good");
    const id = await pushes.notify([user], ", send_at => now() + interval '1 day'");
    await ask("select app_public.cancel_notification($1)", [id]);
    await expect(ask("select app_public.retry_deliveries($1)", [id])).rejects.toMatchObject({
      code: "HWCFL",
    });
    await expect(ask("select app_public.retry_deliveries(999999)")).rejects.toMatchObject({
      code: "HWNFD",
    });
  });
});

describe("the operator's figures", () => {
  it("count the queue, the outcomes by minute and how long a push took", async () => {
    const { id: user } = await pushes.userWithDevices("good", "unregistered");
    await pushes.settled(await pushes.notify([user]));
    const minutes = await ask("select * from app_public.push_minutes(5)");
    expect(minutes).toHaveLength(5);
    const total = (name: string) => minutes.reduce((sum, row) => sum + row[name], 0);
    expect(total("accepted")).toBeGreaterThan(0);
    expect(total("dead")).toBeGreaterThan(0);
    const [state] = await ask("select (app_public.push_state()).*");
    expect(state).toMatchObject({ queued: 0, held: 0, workers: 1, oldest_seconds: null });
    expect(state.latency_median).toBeGreaterThan(0);
    expect(state.latency_p95).toBeGreaterThanOrEqual(state.latency_median);
  });

  it("name audiences and failed jobs, and have a job tried again", async () => {
    await database.owner.query(
      "create view app_audiences.everybody as select id as user_id from app_public.users",
    );
    await database.owner.query("create view app_audiences.nobody as select 1 as other");
    expect(await ask("select app_public.push_audiences() as name")).toEqual([
      { name: "everybody" },
    ]);
    await database.owner.query("select graphile_worker.add_job('no_such_task', max_attempts := 1)");
    await database.owner.query(
      "update graphile_worker._private_jobs set attempts = 1, last_error = 'Broken.' where max_attempts = 1",
    );
    const [job] = await ask("select * from app_public.failed_jobs()");
    expect(job).toMatchObject({ task: "no_such_task", last_error: "Broken.", is_given_up: true });
    await ask("select app_public.retry_job($1)", [job.id]);
    const { rows } = await database.owner.query(
      "select attempts from graphile_worker.jobs where id = $1",
      [job.id],
    );
    expect(rows).toEqual([{ attempts: 0 }]);
    await expect(ask("select app_public.retry_job(999999)")).rejects.toMatchObject({
      code: "HWNFD",
    });
  });

  it("find notifications by number and words, newest first; a user those they received", async () => {
    const { id: user } = await pushes.userWithDevices("good");
    const id = await pushes.notify([user]);
    await pushes.settled(id);
    const found = await ask("select id from app_public.search_notifications($1)", ["a TITLE"]);
    expect(found[0]).toEqual({ id });
    expect(
      await ask("select id from app_public.search_notifications($1)", [String(id)]),
    ).toContainEqual({ id });
    const theirs = await as(database, { user }, (client) =>
      client.query("select id from app_public.search_notifications()"),
    );
    expect(theirs.rows).toEqual([{ id }]);
  });

  it("draw what the catalogue says of access and of tables", async () => {
    const rules = await ask(
      "select role, command, is_granted, rule from app_public.access_rules() where table_name = 'users'",
    );
    expect(rules).toContainEqual({
      role: "operator",
      command: "select",
      is_granted: true,
      rule: null,
    });
    expect(rules.find((r) => r.role === "user" && r.command === "select").rule).toContain(
      "current_user_id",
    );
    expect(rules.find((r) => r.role === "anonymous" && r.command === "select").is_granted).toBe(
      false,
    );
    const [ledger] = await ask(
      "select columns from app_public.schema_tables() where name = 'notification_deliveries'",
    );
    expect(ledger.columns).toContainEqual({
      name: "notification_id",
      type: "integer",
      isRequired: true,
      isKey: false,
      references: "app_public.notifications",
    });
  });

  it.each([
    "push_minutes()",
    "push_state()",
    "push_audiences()",
    "failed_jobs()",
    "retry_job(1)",
    "retry_deliveries(1)",
    "access_rules()",
    "schema_tables()",
  ])("are no user's: %s", async (call) => {
    const user = await createUser(database);
    for (const actor of [{ user }, "anonymous"] as const) {
      await expect(
        as(database, actor, (client) => client.query(`select app_public.${call}`)),
      ).rejects.toMatchObject({ code: "42501" });
    }
  });
});
