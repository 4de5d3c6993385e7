import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { createPushes } from "../support/pushes.ts";
import { until } from "../support/until.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

let api: TestApi;
let worker: TestWorker;
let pushes: ReturnType<typeof createPushes>;
let operator: Account;

beforeAll(async () => {
  api = await startTestApi();
  worker = await startTestWorker(api.database);
  pushes = createPushes(api.database);
  operator = await api.signUpOperator();
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
});

async function partitions(): Promise<string[]> {
  const { rows } = await api.database.owner.query(
    `select inhrelid::regclass::text as name from pg_inherits
     where inhparent = 'app_public.notification_deliveries'::regclass order by 1`,
  );
  return rows.map(({ name }) => name);
}

async function statistics(id: number, token: string) {
  const { data, errors } = await api.graphql(
    `{ notification(id: ${id}) { status
      statistics { recipients deliveries pending accepted deadAddress }
      deliveries { nodes { status } } } }`,
    { token },
  );
  expect(errors).toEqual([]);
  return data.notification;
}

describe("the ledger", () => {
  it("is in partitions by month, of which next month's is there before it is needed", async () => {
    const { owner } = api.database;
    const before = await partitions();
    expect(before).toHaveLength(1);
    await owner.query("select graphile_worker.add_job('keep_ledger')");
    const after = await until(partitions, (found) => found.length === 2);
    const { rows } = await owner.query(
      `select 'app_private.notification_deliveries_' || to_char(now() + interval '1 month', 'YYYY_MM') as name`,
    );
    expect(after).toContain(rows[0].name);
  });

  it("drops what is older than 13 months, and its counts survive in the statistics", async () => {
    const { owner } = api.database;
    const user = await pushes.userWithDevices("phone", "unregistered");
    // As it was sent 15 months ago.
    await owner.query("select app_private.ensure_ledger_month($1)", [await monthsAgo(15)]);
    const { rows } = await owner.query(
      "select id from app_private.notify($1, 'e', 'm', send_at => now() + interval '1 hour')",
      [[user.id]],
    );
    const id: number = rows[0].id;
    await owner.query(
      "update app_public.notifications set ledger_month = $2, send_at = now(), expires_at = now() + interval '1 day' where id = $1",
      [id, await monthsAgo(15)],
    );
    await owner.query("select app_private.schedule_fan_out($1, now())", [id]);
    expect((await pushes.settled(id)).status).toBe("partial");
    const counts = { recipients: 1, deliveries: 2, pending: 0, accepted: 1, deadAddress: 1 };
    expect((await statistics(id, operator.token)).statistics).toEqual(counts);

    const { rows: kept } = await owner.query("select app_private.keep_ledger() as dropped");
    expect(kept[0].dropped).toBe(1);
    const { status, statistics: left, deliveries } = await statistics(id, operator.token);
    expect({ status, left, deliveries }).toEqual({
      status: "PARTIAL",
      left: counts,
      deliveries: { nodes: [] },
    });
    expect(await partitions()).toHaveLength(2);
  });

  async function monthsAgo(months: number): Promise<string> {
    const { rows } = await api.database.owner.query(
      "select date_trunc('month', now() - make_interval(months => $1))::date::text as month",
      [months],
    );
    return rows[0].month;
  }

  it("of a month that nobody has made is made by who needs it", async () => {
    const { owner } = api.database;
    await owner.query("select app_private.ensure_ledger_month('2031-05-01')");
    await Promise.all(
      Array.from({ length: 8 }, () =>
        owner.query("select app_private.ensure_ledger_month('2031-06-01')"),
      ),
    );
    expect((await partitions()).filter((name) => name.includes("2031"))).toHaveLength(2);
  });

  it("shows a recipient their own deliveries, whatever the partition", async () => {
    const account = await api.signUp();
    const other = await pushes.userWithDevices("phone");
    await api.graphql(
      'mutation { registerDevice(input: {token: "mine", deviceType: WEB, kind: FID}) { deviceToken { id } } }',
      { token: account.token },
    );
    const id = await pushes.notify([account.userId, other.id]);
    await pushes.settled(id);
    expect((await statistics(id, account.token)).deliveries.nodes).toHaveLength(1);
    expect((await statistics(id, operator.token)).deliveries.nodes).toHaveLength(2);
    const { data } = await api.graphql(
      "{ me { notificationDeliveries { nodes { deviceToken { id } messageId } } } }",
      { token: account.token },
    );
    expect(data.me.notificationDeliveries.nodes).toHaveLength(1);
  });

  it("keeps every delivery that goes on in exactly one batch", async () => {
    const { rows } = await api.database.owner.query(
      `select d.id, count(b.id)::int as batches
       from app_public.notification_deliveries d
       left join app_private.delivery_batches b on d.id = any (b.delivery_ids)
       where d.status in ('queued', 'sending', 'retrying')
       group by d.id having count(b.id) <> 1`,
    );
    expect(rows).toEqual([]);
  });
});

describe("stale devices", () => {
  it("that have shown no sign of life for 270 days get nothing until they register again", async () => {
    const { owner } = api.database;
    const user = await pushes.userWithDevices("old", "new");
    await owner.query(
      `update app_public.device_tokens set last_seen_at = now() - interval '271 days' where token = $1`,
      [user.tokens[0]],
    );
    await owner.query(
      `update app_public.device_tokens set last_seen_at = now() - interval '269 days' where token = $1`,
      [user.tokens[1]],
    );
    await owner.query("select graphile_worker.add_job('keep_ledger')");
    const reasons = async () =>
      (
        await owner.query(
          "select disabled_reason from app_public.device_tokens where user_id = $1 order by id",
          [user.id],
        )
      ).rows.map(({ disabled_reason }) => disabled_reason);
    await until(reasons, ([first]) => first !== null);
    expect(await reasons()).toEqual(["stale", null]);
  });
});
