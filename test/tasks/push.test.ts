import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createUser } from "../support/actors.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

let database: TestDatabase;
let worker: TestWorker;

beforeAll(async () => {
  database = await createTestDatabase();
  worker = await startTestWorker(database);
});
afterAll(async () => {
  await worker.stop();
  await database.drop();
});

let counter = 0;
/** A user with one device for each of these token prefixes. */
async function userWithDevices(...prefixes: string[]): Promise<{ id: number; tokens: string[] }> {
  const id = await createUser(database);
  const tokens = prefixes.map((prefix) => {
    counter += 1;
    return `${prefix}-${counter}`;
  });
  for (const token of tokens) {
    await database.owner.query(
      "insert into app_public.device_tokens (user_id, token, device_type) values ($1, $2, 'android')",
      [id, token],
    );
  }
  return { id, tokens };
}

async function notify(users: number[], more = ""): Promise<number> {
  const { rows } = await database.owner.query(
    `select id from app_private.notify($1, 'test.event', 'A message', 'A title'${more})`,
    [users],
  );
  return rows[0].id;
}

interface Ledger {
  status: string;
  sentStatus: boolean;
  deliveries: { token: string; status: string; attempts: number; error_code: string | null }[];
}

async function ledger(notificationId: number): Promise<Ledger> {
  const { rows } = await database.owner.query(
    `select n.status, n.sent_status,
       (select coalesce(jsonb_agg(jsonb_build_object('token', t.token, 'status', d.status,
           'attempts', d.attempts, 'error_code', d.error_code, 'message_id', d.message_id) order by d.id), '[]')
        from app_public.notification_deliveries d
        join app_public.device_tokens t on t.id = d.device_token_id
        where d.notification_id = n.id) as deliveries
     from app_public.notifications n where n.id = $1`,
    [notificationId],
  );
  const { status, sent_status, deliveries } = rows[0];
  return { status, sentStatus: sent_status, deliveries };
}

const FINAL = ["sent", "partial", "failed", "no_devices", "canceled", "expired"];
const settled = (id: number) =>
  until(
    () => ledger(id),
    ({ status }) => FINAL.includes(status),
  );

describe("a push", () => {
  it("goes from notify() through firebase-admin to the phone, mapped to all three platforms", async () => {
    const { id, tokens } = await userWithDevices("phone");
    const notificationId = await notify([id], `, '{"order": "7"}', collapse_key => 'orders'`);
    const received = await worker.emulator.phones.nextMessage(tokens[0] as string, 5000);
    expect(received.message).toMatchObject({
      token: tokens[0],
      notification: { title: "A title", body: "A message" },
      data: { order: "7", notification_id: String(notificationId), event: "test.event" },
      android: { priority: "high", collapse_key: "orders", notification: { tag: "orders" } },
      apns: { headers: { "apns-priority": "10", "apns-collapse-id": "orders" } },
      webpush: { headers: { Urgency: "high" } },
    });
    const { deliveries, ...notification } = await settled(notificationId);
    expect(notification).toEqual({ status: "sent", sentStatus: true });
    expect(deliveries).toEqual([
      expect.objectContaining({ status: "accepted", attempts: 1, message_id: received.name }),
    ]);
  });

  it("reaches every device of every user once, however often a user is named", async () => {
    const users = await Promise.all(
      Array.from({ length: 10 }, () => userWithDevices("phone", "tablet")),
    );
    const ids = users.map(({ id }) => id);
    const { status, deliveries } = await settled(await notify([...ids, ...ids, ...ids]));
    expect(status).toBe("sent");
    expect(deliveries).toHaveLength(20);
    for (const { tokens } of users) {
      for (const token of tokens) expect(worker.emulator.phones.messages(token)).toHaveLength(1);
    }
  });

  it("of a transaction that rolls back is never sent, 1,000 times", async () => {
    const { id, tokens } = await userWithDevices("phone");
    const client = await database.owner.connect();
    for (let i = 0; i < 1000; i += 1) {
      await client.query("begin");
      await client.query("select app_private.notify($1, 'rolled.back', 'Never')", [[id]]);
      await client.query("rollback");
    }
    client.release();
    const { rows } = await database.owner.query(
      `select
         (select count(*)::int from app_public.notifications where event = 'rolled.back') as notifications,
         (select count(*)::int from graphile_worker.jobs) as jobs`,
    );
    expect(rows[0]).toEqual({ notifications: 0, jobs: 0 });
    await settled(await notify([id]));
    expect(worker.emulator.phones.messages(tokens[0] as string)).toHaveLength(1);
  }, 30_000);

  it("to a dead token marks the device, never tries again, and leaves the others alone", async () => {
    const { id, tokens } = await userWithDevices("unregistered", "phone");
    const { status, sentStatus, deliveries } = await settled(await notify([id]));
    expect({ status, sentStatus }).toEqual({ status: "partial", sentStatus: true });
    expect(deliveries).toMatchObject([
      { status: "dead_address", attempts: 1, error_code: "UNREGISTERED" },
      { status: "accepted", attempts: 1 },
    ]);
    const { rows } = await database.owner.query(
      "select token, disabled_reason from app_public.device_tokens where user_id = $1 order by id",
      [id],
    );
    expect(rows).toEqual([
      { token: tokens[0], disabled_reason: "dead_address" },
      { token: tokens[1], disabled_reason: null },
    ]);
    const again = await settled(await notify([id]));
    expect(again.deliveries).toHaveLength(1);
  });

  it("that FCM cannot take now is tried again later and arrives", async () => {
    const { id, tokens } = await userWithDevices("slow");
    worker.emulator.faults.add({ match: "slow", respond: "INTERNAL", times: 2 });
    const notificationId = await notify([id]);
    const { status, deliveries } = await settled(notificationId);
    expect(status).toBe("sent");
    expect(deliveries).toMatchObject([{ status: "accepted", attempts: 3, error_code: null }]);
    expect(worker.emulator.phones.messages(tokens[0] as string)).toHaveLength(1);
  });

  it("waits as long as FCM's Retry-After says", async () => {
    const { id } = await userWithDevices("busy");
    worker.emulator.faults.add({
      match: "busy",
      respond: "UNAVAILABLE",
      retryAfter: 120,
      times: 1,
    });
    const notificationId = await notify([id]);
    await until(
      () => ledger(notificationId),
      ({ deliveries }) => deliveries[0]?.status === "retrying",
    );
    const { rows } = await database.owner.query(
      `select extract(epoch from d.next_attempt_at - now())::int as seconds,
         (select extract(epoch from max(run_at) - now())::int from graphile_worker.jobs
          where key = 'deliver_pushes:' || d.notification_id) as job
       from app_public.notification_deliveries d where d.notification_id = $1`,
      [notificationId],
    );
    expect(rows[0].seconds).toBeGreaterThan(110);
    expect(rows[0].job).toBeGreaterThan(110);
  });

  it.each([
    ["invalid", { status: "dead_address", error_code: "INVALID_ARGUMENT" }, "dead_address"],
    ["mismatch", { status: "retrying", error_code: "SENDER_ID_MISMATCH" }, null],
    ["thirdparty", { status: "retrying", error_code: "THIRD_PARTY_AUTH_ERROR" }, null],
    ["quota", { status: "retrying", error_code: "QUOTA_EXCEEDED" }, null],
    ["html", { status: "retrying" }, null],
  ])("answered with the fault %s becomes %o", async (prefix, expected, disabledReason) => {
    const { id } = await userWithDevices(prefix);
    const notificationId = await notify([id]);
    const { deliveries } = await until(
      () => ledger(notificationId),
      ({ deliveries: [first] }) =>
        first !== undefined && !["queued", "sending"].includes(first.status),
    );
    expect(deliveries[0]).toMatchObject(expected);
    const { rows } = await database.owner.query(
      "select disabled_reason from app_public.device_tokens where user_id = $1",
      [id],
    );
    expect(rows).toEqual([{ disabled_reason: disabledReason }]);
  });

  it("whose outcome is unknown is tried again where it was asked for at least once", async () => {
    const { id } = await userWithDevices("unknown");
    const { rows } = await database.owner.query(
      "select id from app_private.notify($1, 'e', 'm', send_at => now() + interval '1 hour')",
      [[id]],
    );
    const { rows: deliveries } = await database.owner.query(
      `insert into app_public.notification_deliveries
         (notification_id, user_id, device_token_id, device_type, status, attempts, leased_until)
       select $1, user_id, id, device_type, 'sending', 1, now() + interval '1 minute'
       from app_public.device_tokens where user_id = $2 returning id`,
      [rows[0].id, id],
    );
    await database.owner.query("select app_private.record_deliveries($1)", [
      JSON.stringify([{ id: deliveries[0].id, attempts: 1, status: "unknown", retry_after: 1 }]),
    ]);
    expect((await ledger(rows[0].id)).deliveries[0]?.status).toBe("retrying");
  });

  it("whose outcome stays unknown is final where it was asked for at most once", {
    timeout: 40_000,
  }, async () => {
    const { id } = await userWithDevices("reset");
    const notificationId = await notify([id], ", delivery => 'at_most_once'");
    // firebase-admin itself tries a broken connection five times, which takes it some 8 seconds.
    const { status, deliveries } = await until(
      () => ledger(notificationId),
      (answer) => FINAL.includes(answer.status),
      30_000,
    );
    expect(status).toBe("failed");
    expect(deliveries).toMatchObject([
      { status: "unknown", attempts: 1, error_code: "app/network-error" },
    ]);
  });

  /** Sends, and changes something between the fan-out and the worker's look at it. */
  async function notifyAndThen(userId: number, change: string, values: unknown[]): Promise<number> {
    const client = await database.owner.connect();
    await client.query("begin");
    const { rows } = await client.query(
      "select id from app_private.notify($1, 'private.note', 'For you only')",
      [[userId]],
    );
    await client.query("select app_private.fan_out_notification($1, 100)", [rows[0].id]);
    await client.query(change, [rows[0].id, ...values]);
    await client.query("commit");
    client.release();
    return rows[0].id;
  }

  it("is not sent to a phone that has changed hands since it was queued", async () => {
    const { id, tokens } = await userWithDevices("shared");
    const other = await createUser(database);
    const notificationId = await notifyAndThen(
      id,
      `update app_public.device_tokens set user_id = $3, disabled_at = null
       where token = $2 and $1::int is not null`,
      [tokens[0], other],
    );
    const { status, deliveries } = await settled(notificationId);
    expect(status).toBe("failed");
    expect(deliveries).toMatchObject([{ status: "skipped", attempts: 0 }]);
    expect(worker.emulator.phones.messages(tokens[0] as string)).toEqual([]);
  });

  it("that has expired before the worker came to it is not sent", async () => {
    const { id, tokens } = await userWithDevices("late");
    const notificationId = await notifyAndThen(
      id,
      `update app_public.notifications set send_at = now() - interval '2 hours',
         expires_at = now() - interval '1 hour' where id = $1`,
      [],
    );
    const { status, deliveries } = await settled(notificationId);
    expect(status).toBe("expired");
    expect(deliveries).toMatchObject([{ status: "expired", attempts: 0 }]);
    expect(worker.emulator.phones.messages(tokens[0] as string)).toEqual([]);
  });

  it("for a user without a device ends as no_devices, and is in the inbox", async () => {
    const id = await createUser(database);
    const notificationId = await notify([id]);
    expect(await settled(notificationId)).toEqual({
      status: "no_devices",
      sentStatus: false,
      deliveries: [],
    });
    const { rows } = await database.owner.query(
      "select user_id from app_public.notification_recipients where notification_id = $1",
      [notificationId],
    );
    expect(rows).toEqual([{ user_id: id }]);
  });

  it("that was canceled before its time is not sent", async () => {
    const { id, tokens } = await userWithDevices("canceled");
    const notificationId = await notify([id], ", send_at => now() + interval '1 hour'");
    await database.owner.query("select app_public.cancel_notification($1)", [notificationId]);
    const job = "payload ->> 'notificationId' = $1::text";
    await database.owner.query(
      `update graphile_worker._private_jobs set run_at = now() where ${job}`,
      [String(notificationId)],
    );
    await until(
      () =>
        database.owner.query(`select from graphile_worker._private_jobs where ${job}`, [
          String(notificationId),
        ]),
      ({ rowCount }) => rowCount === 0,
    );
    expect((await ledger(notificationId)).status).toBe("canceled");
    expect(worker.emulator.phones.messages(tokens[0] as string)).toEqual([]);
  });

  it("to 3,000 devices is sent in batches, all of them, each once", async () => {
    const { id } = await userWithDevices();
    await database.owner.query(
      `insert into app_public.device_tokens (user_id, token, device_type)
       select $1, 'bulk-' || n, 'web' from generate_series(1, 3000) n`,
      [id],
    );
    const notificationId = await notify([id]);
    const { status, deliveries } = await until(
      () => ledger(notificationId),
      (answer) => FINAL.includes(answer.status),
      20_000,
    );
    expect(status).toBe("sent");
    expect(
      new Set(deliveries.map((delivery) => `${delivery.status} ${delivery.attempts}`)),
    ).toEqual(new Set(["accepted 1"]));
    for (let n = 1; n <= 3000; n += 1) {
      expect(worker.emulator.phones.messages(`bulk-${n}`)).toHaveLength(1);
    }
  }, 30_000);
});

describe("the sweeper", () => {
  it("takes up the leases of a worker that died, and keeps at most once its word", async () => {
    const results: Record<string, string> = {};
    for (const guarantee of ["at_least_once", "at_most_once"]) {
      const { id } = await userWithDevices("orphan");
      const { rows } = await database.owner.query(
        "select id from app_private.notify($1, 'e', 'm', send_at => now() + interval '1 hour', delivery => $2)",
        [[id], guarantee],
      );
      await database.owner.query(
        `insert into app_public.notification_recipients (notification_id, user_id) values ($1, $2)`,
        [rows[0].id, id],
      );
      await database.owner.query(
        `insert into app_public.notification_deliveries
           (notification_id, user_id, device_token_id, device_type, status, attempts, leased_until)
         select $1, user_id, id, device_type, 'sending', 1, now() - interval '1 second'
         from app_public.device_tokens where user_id = $2`,
        [rows[0].id, id],
      );
      await database.owner.query(
        `update app_public.notifications set status = 'sending', fanned_out_users = 1,
           send_at = now() - interval '5 minutes', expires_at = now() + interval '1 hour' where id = $1`,
        [rows[0].id],
      );
      await database.owner.query("select app_private.sweep_deliveries()");
      results[guarantee] = (await settled(rows[0].id)).deliveries[0]?.status as string;
    }
    expect(results).toEqual({ at_least_once: "accepted", at_most_once: "unknown" });
  });

  it("an outcome that comes after the lease has gone to another is not written", async () => {
    const { id } = await userWithDevices("fenced");
    const { rows } = await database.owner.query(
      "select id from app_private.notify($1, 'e', 'm', send_at => now() + interval '1 hour')",
      [[id]],
    );
    const { rows: inserted } = await database.owner.query(
      `insert into app_public.notification_deliveries
         (notification_id, user_id, device_token_id, device_type, status, attempts, leased_until)
       select $1, user_id, id, device_type, 'sending', 2, now() + interval '1 minute'
       from app_public.device_tokens where user_id = $2 returning id`,
      [rows[0].id, id],
    );
    const record = async (attempts: number) =>
      (
        await database.owner.query("select app_private.record_deliveries($1) as count", [
          JSON.stringify([{ id: inserted[0].id, attempts, status: "accepted", message_id: "m" }]),
        ])
      ).rows[0].count;
    expect(await record(1)).toBe(0);
    expect(await record(2)).toBe(1);
    expect(await record(2)).toBe(0);
  });
});

describe("the worker", () => {
  it("is ready while its database is there", async () => {
    expect((await fetch(`${worker.opsUrl}/ready`)).status).toBe(200);
    expect((await fetch(`${worker.opsUrl}/live`)).status).toBe(200);
  });

  it("a job with a wrong payload fails with what is wrong, and the others go on", async () => {
    await database.owner.query(
      "select graphile_worker.add_job('fan_out_notification', '{\"notificationId\": \"x\"}', max_attempts := 1)",
    );
    const { rows } = await until(
      () =>
        database.owner.query(
          `select last_error from graphile_worker._private_jobs where max_attempts = 1 and last_error is not null`,
        ),
      ({ rowCount }) => rowCount === 1,
    );
    expect(rows[0].last_error).toContain("notificationId");
    const { id } = await userWithDevices("phone");
    expect((await settled(await notify([id]))).status).toBe("sent");
  });
});
