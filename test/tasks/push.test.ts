import { describe, expect, it } from "vitest";
import { createUser } from "../kit/actors.ts";
import { usePushes } from "../support/pushes.ts";
import { until } from "../support/until.ts";

const used = usePushes();

describe("a push", () => {
  it("goes from notify() through firebase-admin to the phone, mapped to all three platforms", async () => {
    const { id, tokens } = await used.pushes.userWithDevices("phone");
    const notificationId = await used.pushes.notify(
      [id],
      `, '{"order": "7"}', collapse_key => 'orders'`,
    );
    const received = await used.worker.emulator.phones.nextMessage(tokens[0] as string, 5000);
    expect(received.message).toMatchObject({
      token: tokens[0],
      notification: { title: "A title", body: "A message" },
      data: { order: "7", notification_id: String(notificationId), event: "test.event" },
      android: { priority: "high", collapse_key: "orders", notification: { tag: "orders" } },
      apns: { headers: { "apns-priority": "10", "apns-collapse-id": "orders" } },
      webpush: { headers: { Urgency: "high" } },
    });
    const { deliveries, ...notification } = await used.pushes.settled(notificationId);
    expect(notification).toEqual({ status: "sent", sentStatus: true });
    expect(deliveries).toEqual([
      expect.objectContaining({ status: "accepted", attempts: 1, message_id: received.name }),
    ]);
  });

  it("reaches every device of every user once, however often a user is named", async () => {
    const users = await Promise.all(
      Array.from({ length: 10 }, () => used.pushes.userWithDevices("phone", "tablet")),
    );
    const ids = users.map(({ id }) => id);
    const { status, deliveries } = await used.pushes.settled(
      await used.pushes.notify([...ids, ...ids, ...ids]),
    );
    expect(status).toBe("sent");
    expect(deliveries).toHaveLength(20);
    for (const { tokens } of users) {
      for (const token of tokens)
        expect(used.worker.emulator.phones.messages(token)).toHaveLength(1);
    }
  });

  it("of a transaction that rolls back is never sent, 1,000 times", async () => {
    const { id, tokens } = await used.pushes.userWithDevices("phone");
    const client = await used.database.owner.connect();
    for (let i = 0; i < 1000; i += 1) {
      await client.query("begin");
      await client.query("select app_private.notify($1, 'rolled.back', 'Never')", [[id]]);
      await client.query("rollback");
    }
    client.release();
    const { rows } = await used.database.owner.query(
      `select
         (select count(*)::int from app_public.notifications where event = 'rolled.back') as notifications,
         (select count(*)::int from graphile_worker.jobs) as jobs`,
    );
    expect(rows[0]).toEqual({ notifications: 0, jobs: 0 });
    await used.pushes.settled(await used.pushes.notify([id]));
    expect(used.worker.emulator.phones.messages(tokens[0] as string)).toHaveLength(1);
  }, 30_000);

  it("to a dead token marks the device, never tries again, and leaves the others alone", async () => {
    const { id, tokens } = await used.pushes.userWithDevices("unregistered", "phone");
    const { status, sentStatus, deliveries } = await used.pushes.settled(
      await used.pushes.notify([id]),
    );
    expect({ status, sentStatus }).toEqual({ status: "partial", sentStatus: true });
    expect(deliveries).toMatchObject([
      { status: "dead_address", attempts: 1, error_code: "UNREGISTERED" },
      { status: "accepted", attempts: 1 },
    ]);
    const { rows } = await used.database.owner.query(
      "select token, disabled_reason from app_public.device_tokens where user_id = $1 order by id",
      [id],
    );
    expect(rows).toEqual([
      { token: tokens[0], disabled_reason: "dead_address" },
      { token: tokens[1], disabled_reason: null },
    ]);
    const again = await used.pushes.settled(await used.pushes.notify([id]));
    expect(again.deliveries).toHaveLength(1);
  });

  it("that FCM cannot take now is tried again later and arrives", async () => {
    const { id, tokens } = await used.pushes.userWithDevices("slow");
    used.worker.emulator.faults.add({ match: "slow", respond: "INTERNAL", times: 2 });
    const notificationId = await used.pushes.notify([id]);
    const { status, deliveries } = await used.pushes.settled(notificationId);
    expect(status).toBe("sent");
    expect(deliveries).toMatchObject([{ status: "accepted", attempts: 3, error_code: null }]);
    expect(used.worker.emulator.phones.messages(tokens[0] as string)).toHaveLength(1);
  });

  it("waits as long as FCM's Retry-After says", async () => {
    const { id } = await used.pushes.userWithDevices("busy");
    used.worker.emulator.faults.add({
      match: "busy",
      respond: "UNAVAILABLE",
      retryAfter: 120,
      times: 1,
    });
    const notificationId = await used.pushes.notify([id]);
    await until(
      () => used.pushes.ledger(notificationId),
      ({ deliveries }) => deliveries[0]?.status === "retrying",
    );
    const { rows } = await used.database.owner.query(
      `select extract(epoch from d.next_attempt_at - now())::int as seconds,
         (select extract(epoch from max(run_at) - now())::int from graphile_worker.jobs
          where task_identifier = 'deliver_pushes') as job
       from app_public.notification_deliveries d where d.notification_id = $1`,
      [notificationId],
    );
    expect(rows[0].seconds).toBeGreaterThan(110);
    expect(rows[0].job).toBeGreaterThan(110);
  });

  it("whose outcome stays unknown is final where it was asked for at most once", {
    timeout: 40_000,
  }, async () => {
    const { id } = await used.pushes.userWithDevices("reset");
    const notificationId = await used.pushes.notify([id], ", delivery => 'at_most_once'");
    // firebase-admin itself tries a broken connection five times, which takes it some 8 seconds.
    const { status, deliveries } = await used.pushes.settled(notificationId, 30_000);
    expect(status).toBe("failed");
    expect(deliveries).toMatchObject([
      { status: "unknown", attempts: 1, error_code: "app/network-error" },
    ]);
  });

  /** Sends, and changes something between the fan-out and the worker's look at it. */
  async function notifyAndThen(userId: number, change: string, values: unknown[]): Promise<number> {
    const client = await used.database.owner.connect();
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
    const { id, tokens } = await used.pushes.userWithDevices("shared");
    const other = await createUser(used.database);
    const notificationId = await notifyAndThen(
      id,
      `update app_public.device_tokens set user_id = $3, disabled_at = null
       where token = $2 and $1::int is not null`,
      [tokens[0], other],
    );
    const { status, deliveries } = await used.pushes.settled(notificationId);
    expect(status).toBe("no_devices");
    expect(deliveries).toMatchObject([{ status: "skipped", attempts: 0 }]);
    expect(used.worker.emulator.phones.messages(tokens[0] as string)).toEqual([]);
  });

  it("that has expired before the worker came to it is not sent", async () => {
    const { id, tokens } = await used.pushes.userWithDevices("late");
    const notificationId = await notifyAndThen(
      id,
      `update app_public.notifications set send_at = now() - interval '2 hours',
         expires_at = now() - interval '1 hour' where id = $1`,
      [],
    );
    const { status, deliveries } = await used.pushes.settled(notificationId);
    expect(status).toBe("expired");
    expect(deliveries).toMatchObject([{ status: "expired", attempts: 0 }]);
    expect(used.worker.emulator.phones.messages(tokens[0] as string)).toEqual([]);
  });

  it("for a user without a device ends as no_devices, and is in the inbox", async () => {
    const id = await createUser(used.database);
    const notificationId = await used.pushes.notify([id]);
    expect(await used.pushes.settled(notificationId)).toEqual({
      status: "no_devices",
      sentStatus: false,
      deliveries: [],
    });
    const { rows } = await used.database.owner.query(
      "select user_id from app_public.notification_recipients where notification_id = $1",
      [notificationId],
    );
    expect(rows).toEqual([{ user_id: id }]);
  });

  it("that was canceled before its time is not sent", async () => {
    const { id, tokens } = await used.pushes.userWithDevices("canceled");
    const notificationId = await used.pushes.notify([id], ", send_at => now() + interval '1 hour'");
    await used.database.owner.query("select app_public.cancel_notification($1)", [notificationId]);
    const job = "payload ->> 'notificationId' = $1::text";
    await used.database.owner.query(
      `update graphile_worker._private_jobs set run_at = now() where ${job}`,
      [String(notificationId)],
    );
    await until(
      () =>
        used.database.owner.query(`select from graphile_worker._private_jobs where ${job}`, [
          String(notificationId),
        ]),
      ({ rowCount }) => rowCount === 0,
    );
    expect((await used.pushes.ledger(notificationId)).status).toBe("canceled");
    expect(used.worker.emulator.phones.messages(tokens[0] as string)).toEqual([]);
  });

  it("to 3,000 devices is sent in batches, all of them, each once", async () => {
    const { id } = await used.pushes.userWithDevices();
    await used.database.owner.query(
      `insert into app_public.device_tokens (user_id, token, device_type)
       select $1, 'bulk-' || n, 'web' from generate_series(1, 3000) n`,
      [id],
    );
    const notificationId = await used.pushes.notify([id]);
    const { status, deliveries } = await used.pushes.settled(notificationId, 60_000);
    expect(status).toBe("sent");
    expect(
      new Set(deliveries.map((delivery) => `${delivery.status} ${delivery.attempts}`)),
    ).toEqual(new Set(["accepted 1"]));
    for (let n = 1; n <= 3000; n += 1) {
      expect(used.worker.emulator.phones.messages(`bulk-${n}`)).toHaveLength(1);
    }
  }, 70_000);
});
