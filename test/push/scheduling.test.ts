import { describe, expect, it } from "vitest";
import { usePushes } from "../support/pushes.ts";
import { until } from "../support/until.ts";

const used = usePushes();

/** A user with a phone in a time zone. */
async function userIn(timezone: string) {
  const user = await used.pushes.userWithDevices("phone");
  await used.database.owner.query("update app_public.users set timezone = $2 where id = $1", [
    user.id,
    timezone,
  ]);
  return user;
}

/** When each user is due, as instants, once the audience is written down. */
async function dueTimes(users: number[], local: string): Promise<Record<number, string>> {
  const { owner } = used.database;
  const client = await owner.connect();
  try {
    await client.query("begin");
    // The rule alone, for any year: notify() itself takes only times to come.
    const { rows: inserted } = await client.query(
      `insert into app_public.notifications (users, event, message, send_at_local)
       values ($1, 'e', 'm', $2) returning *`,
      [users, local],
    );
    await client.query(
      "select app_private.write_audience(n) from app_public.notifications n where n.id = $1",
      [inserted[0].id],
    );
    const { rows } = await client.query(
      "select user_id, due_at from app_private.notification_audience where notification_id = $1",
      [inserted[0].id],
    );
    return Object.fromEntries(rows.map(({ user_id, due_at }) => [user_id, due_at.toISOString()]));
  } finally {
    await client.query("rollback");
    client.release();
  }
}

describe("sendAtLocal", () => {
  it.each([
    ["2026-03-28T09:00:00", "Europe/Berlin", "2026-03-28T08:00:00.000Z"],
    // The clocks go forward on 29 March 2026 in Berlin, and back on 25 October.
    ["2026-03-29T09:00:00", "Europe/Berlin", "2026-03-29T07:00:00.000Z"],
    ["2026-10-24T09:00:00", "Europe/Berlin", "2026-10-24T07:00:00.000Z"],
    ["2026-10-25T09:00:00", "Europe/Berlin", "2026-10-25T08:00:00.000Z"],
    // 8 March and 1 November 2026 in New York.
    ["2026-03-07T09:00:00", "America/New_York", "2026-03-07T14:00:00.000Z"],
    ["2026-03-08T09:00:00", "America/New_York", "2026-03-08T13:00:00.000Z"],
    ["2026-11-01T09:00:00", "America/New_York", "2026-11-01T14:00:00.000Z"],
    // Half an hour, and no summer time.
    ["2026-07-01T09:00:00", "Asia/Kolkata", "2026-07-01T03:30:00.000Z"],
    // An hour that does not exist is the one after it; one that is there twice counts once.
    ["2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T01:30:00.000Z"],
    ["2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T01:30:00.000Z"],
  ])("%s in %s is %s", async (local, timezone, instant) => {
    const { id } = await userIn(timezone);
    expect(await dueTimes([id], local)).toEqual({ [id]: instant });
  });

  /** A local time that has come in Kolkata, and is still to come in New York. */
  async function sendBetween(users: number[]): Promise<number> {
    const client = await used.database.owner.connect();
    await client.query("begin");
    const { rows } = await client.query(
      `select id from app_private.notify($1, 'e', 'm',
         send_at_local => (now() at time zone 'Asia/Kolkata') + interval '1 hour')`,
      [users],
    );
    // As if that hour had passed before the worker came to it: those in Kolkata are due.
    await client.query(
      "update app_public.notifications set send_at_local = send_at_local - interval '1 hour' where id = $1",
      [rows[0].id],
    );
    await client.query("commit");
    client.release();
    return rows[0].id;
  }

  it("reaches each user at their own time, and is not settled before the last", async () => {
    const east = await userIn("Asia/Kolkata");
    const west = await userIn("America/New_York");
    const id = await sendBetween([east.id, west.id]);
    await used.worker.emulator.phones.nextMessage(east.tokens[0] as string, 5000);
    expect(used.worker.emulator.phones.messages(west.tokens[0] as string)).toEqual([]);
    expect((await used.pushes.ledger(id)).status).toBe("sending");
    const { rows } = await used.database.owner.query(
      `select extract(epoch from run_at - now())::float / 3600 as hours from graphile_worker.jobs
       where key = 'fan_out_notification:' || $1::text`,
      [id],
    );
    expect(Math.round(rows[0].hours * 2) / 2).toBeGreaterThanOrEqual(9.5);
  });

  it("follows a user who moves to another time zone in between", async () => {
    const east = await userIn("Asia/Kolkata");
    const mover = await userIn("America/New_York");
    const id = await sendBetween([east.id, mover.id]);
    await used.worker.emulator.phones.nextMessage(east.tokens[0] as string, 5000);
    await used.database.owner.query(
      "update app_public.users set timezone = 'Australia/Sydney' where id = $1",
      [mover.id],
    );
    await used.worker.emulator.phones.nextMessage(mover.tokens[0] as string, 5000);
    expect((await used.pushes.settled(id)).status).toBe("sent");
  });
});

describe("sendAt", () => {
  it("is not before its time, and then at once", async () => {
    const user = await used.pushes.userWithDevices("phone");
    const { rows } = await used.database.owner.query(
      "select id, send_at from app_private.notify($1, 'e', 'm', send_at => now() + interval '1500 milliseconds')",
      [[user.id]],
    );
    expect((await used.pushes.ledger(rows[0].id)).status).toBe("scheduled");
    const received = await used.worker.emulator.phones.nextMessage(user.tokens[0] as string, 8000);
    expect(new Date(received.receivedAt).getTime()).toBeGreaterThanOrEqual(
      rows[0].send_at.getTime(),
    );
  });
});

describe("quiet hours", () => {
  it.each([
    ["22:00", "07:00", "Europe/Berlin", "2026-07-01T21:30:00Z", "2026-07-02T05:00:00.000Z"],
    ["22:00", "07:00", "Europe/Berlin", "2026-07-02T04:59:59Z", "2026-07-02T05:00:00.000Z"],
    ["22:00", "07:00", "Europe/Berlin", "2026-07-02T05:00:00Z", null],
    ["22:00", "07:00", "Europe/Berlin", "2026-07-01T19:59:59Z", null],
    ["13:00", "14:30", "Asia/Kolkata", "2026-07-01T08:00:00Z", "2026-07-01T09:00:00.000Z"],
    // Over the night on which the clock goes forward, and back.
    ["22:00", "07:00", "Europe/Berlin", "2026-03-28T22:00:00Z", "2026-03-29T05:00:00.000Z"],
    ["22:00", "07:00", "America/New_York", "2026-11-01T03:00:00Z", "2026-11-01T12:00:00.000Z"],
  ])("from %s to %s in %s at %s last until %s", async (starts, ends, timezone, at, until) => {
    const { rows } = await used.database.owner.query(
      `select app_private.quiet_until(
         row(1, $1::time, $2::time, now())::app_public.quiet_hours, $3, $4::timestamptz) as until`,
      [starts, ends, timezone, at],
    );
    expect(rows[0].until?.toISOString() ?? null).toBe(until);
  });

  async function beQuiet(userId: number): Promise<void> {
    await used.database.owner.query(
      `insert into app_public.quiet_hours (user_id, starts, ends)
       select id, (now() at time zone timezone)::time - interval '1 hour',
         (now() at time zone timezone)::time + interval '1 hour'
       from app_public.users where id = $1`,
      [userId],
    );
  }

  it("hold a push back until they end, put it into the inbox at once, and bother nobody else", async () => {
    const sleeper = await used.pushes.userWithDevices("phone");
    const awake = await used.pushes.userWithDevices("phone");
    await beQuiet(sleeper.id);
    const id = await used.pushes.notify([sleeper.id, awake.id]);
    await used.worker.emulator.phones.nextMessage(awake.tokens[0] as string, 5000);
    const { rows } = await until(
      () =>
        used.database.owner.query(
          `select extract(epoch from run_at - now())::float / 60 as minutes
           from app_private.delivery_batches where notification_id = $1 and run_at > now() + interval '1 minute'`,
          [id],
        ),
      ({ rowCount }) => rowCount === 1,
    );
    expect(rows[0].minutes).toBeGreaterThan(58);
    expect(rows[0].minutes).toBeLessThanOrEqual(60);
    const { rowCount: inInbox } = await used.database.owner.query(
      "select from app_public.notification_recipients where notification_id = $1 and user_id = $2",
      [id, sleeper.id],
    );
    expect(inInbox).toBe(1);
  });

  it("that are ended, or moved, let go of what they held, which said why it waited", async () => {
    const sleeper = await used.pushes.userWithDevices("phone");
    await beQuiet(sleeper.id);
    const id = await used.pushes.notify([sleeper.id]);
    await until(
      () => used.pushes.ledger(id),
      ({ deliveries: [delivery] }) => delivery?.error_code === "QUIET_HOURS",
    );
    await used.database.owner.query("delete from app_public.quiet_hours where user_id = $1", [
      sleeper.id,
    ]);
    const { status, deliveries } = await used.pushes.settled(id);
    expect(status).toBe("sent");
    expect(deliveries).toMatchObject([{ status: "accepted", error_code: null }]);
  });

  const heldBack = (id: number) =>
    until(
      () => used.pushes.ledger(id),
      ({ deliveries: [delivery] }) => delivery?.error_code === "QUIET_HOURS",
    );

  it("are by the clock of the time zone that the user has now: a move lets go of what they held", async () => {
    const sleeper = await used.pushes.userWithDevices("phone");
    await beQuiet(sleeper.id);
    const id = await used.pushes.notify([sleeper.id]);
    await heldBack(id);
    await used.database.owner.query(
      "update app_public.users set timezone = 'Pacific/Honolulu' where id = $1",
      [sleeper.id],
    );
    const { deliveries } = await used.pushes.settled(id);
    expect(deliveries).toMatchObject([{ status: "accepted", error_code: null }]);
  });

  it("are not a phone's: what is also for its new owner goes out by theirs", async () => {
    const sleeper = await used.pushes.userWithDevices("phone");
    const other = await used.pushes.userWithDevices("phone");
    await beQuiet(sleeper.id);
    const id = await used.pushes.notify([sleeper.id, other.id]);
    await heldBack(id);
    await used.database.owner.query(
      "update app_public.device_tokens set user_id = $1 where token = $2",
      [other.id, sleeper.tokens[0]],
    );
    const { deliveries } = await used.pushes.settled(id);
    expect(deliveries).toMatchObject([
      { status: "accepted", error_code: null },
      { status: "accepted", error_code: null },
    ]);
  });

  it("that change while a worker judges are seen by the one or found by the other", async () => {
    const { owner } = used.database;
    const sleeper = await used.pushes.userWithDevices("phone");
    await beQuiet(sleeper.id);
    const id = await used.pushes.notify([sleeper.id]);
    await heldBack(id);
    const { rows: batches } = await owner.query(
      "select id from app_private.delivery_batches where notification_id = $1",
      [id],
    );
    const claim = "select deliveries from app_private.claim_batch($1, gen_random_uuid(), true)";
    const [mover, worker] = [await owner.connect(), await owner.connect()];
    try {
      // The claim comes second: it does not wait, and judges by the new time zone when that is there.
      await mover.query("begin");
      await mover.query("select from app_public.quiet_hours where user_id = $1 for update", [
        sleeper.id,
      ]);
      expect((await worker.query(claim, [batches[0].id])).rows[0].deliveries).toBeNull();
      await mover.query("update app_public.users set timezone = 'Pacific/Honolulu' where id = $1", [
        sleeper.id,
      ]);
      await mover.query("commit");
      await used.pushes.settled(id);

      // The move comes second: it waits, and finds what the claim has put off.
      await owner.query("update app_public.users set timezone = 'UTC' where id = $1", [sleeper.id]);
      const second = await used.pushes.notify([sleeper.id]);
      await heldBack(second);
      const { rows: others } = await owner.query(
        "select id from app_private.delivery_batches where notification_id = $1",
        [second],
      );
      await worker.query("begin");
      expect((await worker.query(claim, [others[0].id])).rows[0].deliveries).toBeNull();
      const { rows: movers } = await mover.query("select pg_backend_pid() as pid");
      const moved = mover.query(
        "update app_public.users set timezone = 'Pacific/Honolulu' where id = $1",
        [sleeper.id],
      );
      await until(
        () => owner.query("select pg_blocking_pids($1) as pids", [movers[0].pid]),
        ({ rows }) => rows[0].pids.length === 1,
      );
      await worker.query("commit");
      await moved;
      const { deliveries } = await used.pushes.settled(second);
      expect(deliveries).toMatchObject([{ status: "accepted" }]);
    } finally {
      mover.release(true);
      worker.release(true);
    }
  });

  it("do not hold a mandatory event back", async () => {
    await used.database.owner.query(
      `insert into app_public.notification_events (event, description, is_mandatory)
       values ('security.alert', 'Somebody logged in', true), ('test.event', 'A test', false), ('e', 'A letter', false)`,
    );
    const sleeper = await used.pushes.userWithDevices("phone");
    await beQuiet(sleeper.id);
    const { rows } = await used.database.owner.query(
      "select id from app_private.notify($1, 'security.alert', 'm')",
      [[sleeper.id]],
    );
    expect((await used.pushes.settled(rows[0].id)).status).toBe("sent");
    await expect(
      used.database.owner.query("select app_private.notify($1, 'nobody.knows', 'm')", [
        [sleeper.id],
      ]),
    ).rejects.toMatchObject({ code: "HWINP", column: "event" });
    await used.database.owner.query("delete from app_public.notification_events");
  });
});

describe("a preference", () => {
  it("against an event skips the push, and keeps the inbox", async () => {
    const user = await used.pushes.userWithDevices("phone");
    await used.database.owner.query(
      "insert into app_public.notification_preferences (user_id, event, is_push_enabled) values ($1, 'test.event', false)",
      [user.id],
    );
    const id = await used.pushes.notify([user.id]);
    const { deliveries } = await used.pushes.settled(id);
    expect(deliveries).toMatchObject([
      { status: "skipped", error_code: "PREFERENCE", attempts: 0 },
    ]);
    // What nobody wanted has not failed.
    expect((await used.pushes.ledger(id)).status).toBe("no_devices");
    const { rowCount } = await used.database.owner.query(
      "select from app_public.notification_recipients where notification_id = $1 and read_at is null",
      [id],
    );
    expect(rowCount).toBe(1);
  });
});

describe("push only if unread", () => {
  async function notifyIfUnread() {
    const user = await used.pushes.userWithDevices("phone");
    const id = await used.pushes.notify([user.id], ", unread_seconds => 600");
    // In the inbox at once, on the phone later.
    const { rows } = await until(
      () =>
        used.database.owner.query(
          `select b.id, extract(epoch from b.run_at - now())::float as seconds
           from app_private.delivery_batches b
           join app_public.notification_recipients r on r.notification_id = b.notification_id
           where b.notification_id = $1`,
          [id],
        ),
      ({ rowCount }) => rowCount === 1,
    );
    expect(rows[0].seconds).toBeGreaterThan(590);
    return { user, id, batchId: rows[0].id };
  }
  const tenMinutesLater = (batchId: number) =>
    used.database.owner.query("select app_private.postpone_batch($1, now())", [batchId]);

  it("pushes what is unread after that time", async () => {
    const { id, batchId } = await notifyIfUnread();
    await tenMinutesLater(batchId);
    expect((await used.pushes.settled(id)).status).toBe("sent");
  });

  it("skips what was read meanwhile", async () => {
    const { id, user, batchId } = await notifyIfUnread();
    await used.database.owner.query(
      "update app_public.notification_recipients set read_at = now() where user_id = $1",
      [user.id],
    );
    await tenMinutesLater(batchId);
    expect((await used.pushes.settled(id)).deliveries).toMatchObject([
      { status: "skipped", error_code: "READ" },
    ]);
  });
});
