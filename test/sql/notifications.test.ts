import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { useKit } from "../kit/kit.ts";

const kit = useKit();
const { asUser, asOperator, asAnonymous, asOwner, createUser, createOperator, expectDenied } = kit;
let recipient: number;
let stranger: number;
let operator: number;
let notificationId: number;

beforeAll(async () => {
  recipient = await createUser();
  stranger = await createUser();
  operator = await createOperator();
  await asOwner(
    "insert into app_public.device_tokens (user_id, token, device_type) values ($1, 'phone', 'ios')",
    [recipient],
  );
  const { rows } = await asOwner("select id from app_private.notify($1, 'test.event', 'Hello')", [
    [recipient, operator],
  ]);
  notificationId = rows[0].id;
  await asOwner("select app_private.fan_out_notification($1, 10)", [notificationId]);
});

const TABLES = ["notifications", "notification_recipients", "notification_deliveries"];

describe.each(TABLES)("%s", (table) => {
  const key = table === "notifications" ? "id" : "notification_id";
  const read = `select from app_public.${table} where ${key} = $1`;

  it(`a recipient reads their ${table}`, async () => {
    expect((await asUser(recipient, read, [notificationId])).rowCount).toBe(1);
  });

  it(`a stranger reads none of ${table}`, () =>
    expectDenied(asUser(stranger, read, [notificationId]), "no rows"));

  it(`an operator reads all ${table}`, async () => {
    const { rowCount } = await asOperator(operator, read, [notificationId]);
    expect(rowCount).toBe((await asOwner(read, [notificationId])).rowCount);
  });

  it(`nobody reads ${table}`, () =>
    expectDenied(asAnonymous(read, [notificationId]), "permission denied"));

  it(`no role of a request writes ${table} by hand`, async () => {
    for (const statement of [
      `insert into app_public.${table} overriding system value select * from app_public.${table} limit 0`,
      `update app_public.${table} set created_at = now()`,
      `delete from app_public.${table}`,
    ]) {
      await expectDenied(asAnonymous(statement), "permission denied");
      await expectDenied(asUser(recipient, statement), "permission denied");
      await expectDenied(asOperator(operator, statement), "permission denied");
    }
  });
});

describe("notify()", () => {
  it("commits and rolls back with the caller's transaction, its job too", async () => {
    const client = await kit.database.owner.connect();
    const state = async () =>
      (
        await client.query(
          `select (select count(*)::int from app_public.notifications) as notifications,
             (select count(*)::int from graphile_worker.jobs) as jobs`,
        )
      ).rows[0];
    const before = await state();
    await client.query("begin");
    await client.query("select app_private.notify($1, 'e', 'm')", [[recipient]]);
    expect(await state()).toEqual({
      notifications: before.notifications + 1,
      jobs: before.jobs + 1,
    });
    await client.query("rollback");
    expect(await state()).toEqual(before);
    client.release();
  });

  it("can be called from a trigger of one's own, whoever's statement fires it", async () => {
    const client = await kit.database.owner.connect();
    try {
      await client.query("begin");
      await client.query(`
        create function app_private.tg_items__announce() returns trigger language plpgsql volatile
        security definer set search_path = pg_catalog, public, pg_temp as $$
        begin
          perform app_private.notify(array[new.user_id], 'item.created', 'You have: ' || new.title);
          return null;
        end $$;
        create trigger _900_announce after insert on app_public.items
          for each row execute function app_private.tg_items__announce();
        grant howdah_user to current_user with set true`);
      await client.query("select set_config('jwt.claims.user_id', $1, true)", [String(recipient)]);
      await client.query("set local role howdah_user");
      await client.query("insert into app_public.items (title) values ('Saddle')");
      await client.query("reset role");
      const { rows } = await client.query(
        "select message, users from app_public.notifications where event = 'item.created'",
      );
      expect(rows).toEqual([{ message: "You have: Saddle", users: [recipient] }]);
    } finally {
      await client.query("rollback");
      client.release();
    }
  });

  it("keeps job payloads to ids", async () => {
    const { rows } = await asOwner("select payload from graphile_worker._private_jobs");
    expect(rows.length).toBeGreaterThan(0);
    for (const { payload } of rows)
      expect(Object.keys(payload)).toEqual([expect.stringMatching(/^(notification|batch)Id$/)]);
  });
});

describe("the fan-out", () => {
  /** 25 users with a device each, and a notification to them. */
  async function notificationToMany(): Promise<number> {
    const { rows: users } = await asOwner(
      `with people as (insert into app_public.users (first_name) select 'P' from generate_series(1, 25) returning id)
       select array_agg(id) as ids from people`,
    );
    const ids: number[] = users[0].ids;
    await asOwner(
      `insert into app_public.device_tokens (user_id, token, device_type)
       select id, 'chunk-' || id, 'web' from unnest($1::int[]) as u(id)`,
      [ids],
    );
    const { rows } = await asOwner("select id from app_private.notify($1, 'e', 'm')", [ids]);
    return rows[0].id;
  }

  it("goes on where it stopped, in chunks, and can be repeated without doubling anything", async () => {
    const id = await notificationToMany();
    const step = async () =>
      (await asOwner("select has_more from app_private.fan_out_notification($1, 10)", [id])).rows[0]
        .has_more;
    expect([await step(), await step(), await step(), await step()]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    // As if it had forgotten where it was: what is written once is written once.
    await asOwner("update app_public.notifications set fanned_out_users = 0 where id = $1", [id]);
    expect([await step(), await step(), await step()]).toEqual([true, true, false]);
    const { rows: counts } = await asOwner(
      `select (select count(*)::int from app_public.notification_recipients where notification_id = $1) as recipients,
         (select count(*)::int from app_public.notification_deliveries where notification_id = $1) as deliveries,
         (select sum(cardinality(delivery_ids))::int from app_private.delivery_batches where notification_id = $1) as queued`,
      [id],
    );
    expect(counts).toEqual([{ recipients: 25, deliveries: 25, queued: 25 }]);
  });

  it("sends one push to a phone that changes hands between two chunks, for its new owner", async () => {
    const [first, second] = [await createUser(), await createUser()];
    await asOwner(
      "insert into app_public.device_tokens (user_id, token, device_type) values ($1, 'moves', 'ios')",
      [first],
    );
    const { rows } = await asOwner("select id from app_private.notify($1, 'test.event', 'Hello')", [
      [first, second],
    ]);
    const step = () => asOwner("select app_private.fan_out_notification($1, 1)", [rows[0].id]);
    await step();
    await asOwner("update app_public.device_tokens set user_id = $1 where token = 'moves'", [
      second,
    ]);
    await step();
    const { rows: deliveries } = await asOwner(
      "select user_id from app_public.notification_deliveries where notification_id = $1",
      [rows[0].id],
    );
    expect(deliveries).toEqual([{ user_id: second }]);
  });

  it("of two claims of one batch at once one gets it, until its worker dies", async () => {
    const id = await notificationToMany();
    await asOwner("select app_private.fan_out_notification($1, 100)", [id]);
    const { rows } = await asOwner(
      "select id from app_private.delivery_batches where notification_id = $1",
      [id],
    );
    const workers = [randomUUID(), randomUUID()];
    for (const worker of workers) {
      await asOwner("select app_private.heartbeat($1, '{}', '{}')", [worker]);
    }
    const claim = async (worker: string | undefined) =>
      (
        await asOwner(
          "select fence, jsonb_array_length(deliveries) as count from app_private.claim_batch($1, $2)",
          [rows[0].id, worker],
        )
      ).rows[0];
    const claims = await Promise.all(workers.map(claim));
    expect(claims.filter(({ fence }) => fence === 1)).toEqual([{ fence: 1, count: 25 }]);
    const loser = workers[claims.findIndex(({ fence }) => fence === null)];
    expect(await claim(loser)).toEqual({ fence: null, count: null });
    await asOwner("delete from app_private.workers where id <> $1", [loser]);
    expect(await claim(loser)).toEqual({ fence: 2, count: 25 });
    // Its heartbeats do not name the batch for a while: an error came between, others may have it.
    const beat = () => asOwner("select app_private.heartbeat($1, '{}', '{}')", [loser]);
    await beat();
    const another = randomUUID();
    expect(await claim(another)).toEqual({ fence: null, count: null });
    await asOwner(
      "update app_private.delivery_batches set claimed_at = claimed_at - interval '20 seconds'",
    );
    await beat();
    expect(await claim(another)).toEqual({ fence: 3, count: 25 });
  });

  it("an outcome that comes after the batch has gone to another is not written", async () => {
    const id = await notificationToMany();
    await asOwner("select app_private.fan_out_notification($1, 100)", [id]);
    const { rows } = await asOwner(
      "select id, delivery_ids from app_private.delivery_batches where notification_id = $1",
      [id],
    );
    const [first, second] = [randomUUID(), randomUUID()];
    for (const worker of [first, second]) {
      await asOwner("select app_private.claim_batch($1, $2)", [rows[0].id, worker]);
    }
    const outcomes = JSON.stringify(
      rows[0].delivery_ids.map((delivery: string) => ({
        id: Number(delivery),
        status: "accepted",
        message_id: `m-${delivery}`,
      })),
    );
    const record = async (worker: string, fence: number) =>
      (
        await asOwner("select * from app_private.record_batch($1, $2, $3, $4)", [
          rows[0].id,
          worker,
          fence,
          outcomes,
        ])
      ).rows[0];
    expect(await record(first, 1)).toMatchObject({ recorded: 0, alert: "lost" });
    expect(await record(second, 1)).toMatchObject({ recorded: 0, alert: "lost" });
    expect(await record(second, 2)).toMatchObject({ recorded: 25, alert: null });
    expect(await record(second, 2)).toMatchObject({ recorded: 0, alert: "lost" });
  });
});
