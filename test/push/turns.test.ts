import { afterEach, describe, expect, it } from "vitest";
import { as, createUser } from "../kit/actors.ts";
import { usePushes } from "../support/pushes.ts";
import { until } from "../support/until.ts";

const used = usePushes();

/** What an app does at each launch, in a session of this user's. */
async function register(userId: number, ...tokens: string[]): Promise<void> {
  const { rows } = await used.database.owner.query(
    "insert into app_public.sessions (user_id, expires_at) values ($1, now() + interval '1 day') returning id",
    [userId],
  );
  await as(
    used.database,
    { user: userId },
    async (client) => {
      for (const token of tokens) {
        await client.query("select app_public.register_device($1, 'android')", [token]);
      }
    },
    { commit: true, sessionId: rows[0].id },
  );
}

async function notifyAudience(audience: string, more = ""): Promise<number> {
  const { rows } = await used.database.owner.query(
    `select id from app_private.notify(null, 'e', 'm', audience => $1${more})`,
    [audience],
  );
  return rows[0].id;
}

async function statusOf(id: number): Promise<string> {
  const { rows } = await used.database.owner.query(
    "select status from app_public.notifications where id = $1",
    [id],
  );
  return rows[0].status;
}

async function sleepers(): Promise<number> {
  const { rowCount } = await used.database.owner.query(
    "select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()",
  );
  return rowCount ?? 0;
}

describe("an audience that sleeps", () => {
  afterEach(async () => {
    await used.database.owner.query(
      `select pg_cancel_backend(pid) from pg_stat_activity
       where wait_event = 'PgSleep' and datname = current_database()`,
    );
  });

  it("holds back no other fan-out, and can be canceled", async () => {
    await used.database.owner.query(`
      create function app_audiences.sleeping() returns setof int language sql volatile
        as 'select 1 from pg_sleep(100)'`);
    await createUser(used.database);
    const sleeping: number[] = [];
    for (let n = 0; n < 8; n += 1) sleeping.push(await notifyAudience("sleeping"));
    await until(sleepers, (count) => count > 0);
    const user = await used.pushes.userWithDevices("phone");
    const { status } = await used.pushes.settled(await used.pushes.notify([user.id]), 5000);
    expect(status).toBe("sent");
    expect(await sleepers()).toBe(1);
    for (const id of sleeping) {
      await used.database.owner.query("select app_public.cancel_notification($1)", [id]);
      expect(await statusOf(id)).toBe("canceled");
    }
  });
});

describe("an audience that fails", () => {
  it("is tried again, and expires when it is too late", async () => {
    const { owner } = used.database;
    await createUser(used.database);
    await owner.query(`
      create function app_audiences.failing() returns setof int language sql volatile
        as 'select 1 / 0'`);
    const id = await notifyAudience("failing");
    const lastError = async () =>
      (
        await owner.query<{ last_error: string }>(
          `select last_error from graphile_worker.jobs where key = 'fan_out_notification:' || $1::int`,
          [id],
        )
      ).rows[0]?.last_error;
    expect(await until(lastError, (error) => error != null)).toContain("division by zero");
    expect(await statusOf(id)).toBe("scheduled");
    await owner.query(
      `update app_public.notifications
       set send_at = send_at - interval '1 hour', expires_at = now() where id = $1`,
      [id],
    );
    await owner.query(
      "select graphile_worker.reschedule_jobs(array[id], run_at => now() + interval '6 hours') from graphile_worker.jobs where key = 'fan_out_notification:' || $1::int",
      [id],
    );
    // Each worker sweeps every five seconds.
    expect(
      await until(
        () => statusOf(id),
        (status) => status === "expired",
        10_000,
      ),
    ).toBe("expired");
  });
});

describe("a user who moves to another time zone while the audience is written down", () => {
  it("gets it by the clock there", async () => {
    const { owner } = used.database;
    const id = await createUser(used.database);
    await owner.query("update app_public.users set timezone = 'Asia/Kolkata' where id = $1", [id]);
    const writer = await owner.connect();
    const mover = await owner.connect();
    try {
      await writer.query("begin");
      // Its job stays unseen until all is committed: this is the worker.
      const { rows } = await writer.query(
        `select id from app_private.notify($1, 'e', 'm', send_at_local => now()::timestamp + interval '3 days')`,
        [[id]],
      );
      await writer.query("commit");
      await writer.query("begin");
      await writer.query("select has_more from app_private.fan_out_notification($1, 100)", [
        rows[0].id,
      ]);
      const moved = mover.query(
        "update app_public.users set timezone = 'America/New_York' where id = $1",
        [id],
      );
      await until(
        async () =>
          (
            await owner.query(
              "select from pg_stat_activity where wait_event = 'advisory' and datname = current_database()",
            )
          ).rowCount,
        (waiting) => waiting === 1,
      );
      await writer.query("commit");
      await moved;
      const { rows: due } = await owner.query(
        `select a.due_at = n.send_at_local at time zone 'America/New_York' as is_there
         from app_private.notification_audience a
         join app_public.notifications n on n.id = a.notification_id where n.id = $1`,
        [rows[0].id],
      );
      expect(due).toEqual([{ is_there: true }]);
    } finally {
      writer.release();
      mover.release();
    }
  });
});

describe("a phone that changes hands between two chunks", () => {
  /** Two users, the phone the first one's, and a notification to both that nobody has begun. */
  async function begin() {
    const first = await used.pushes.userWithDevices("moving");
    const second = await createUser(used.database);
    const [token] = first.tokens;
    const { rows } = await used.database.owner.query(
      "select id from app_private.notify($1, 'e', 'm', send_at => now() + interval '1 hour')",
      [[first.id, second]],
    );
    return { first: first.id, second, token: token as string, id: rows[0].id as number };
  }
  const chunk = (id: number) =>
    used.database.owner.query("select app_private.fan_out_notification($1, 1)", [id]);

  it("gets it for the new owner where the former one's is still to go out", async () => {
    const { second, token, id } = await begin();
    const { owner } = used.database;
    // Held back, so that it is still to go out.
    await owner.query("select app_private.pause_pushes('android', 'TEST', 3600, 60)");
    await chunk(id);
    await register(second, token);
    await chunk(id);
    await owner.query("select app_public.lift_push_pause(id) from app_public.push_pauses");
    const { deliveries } = await used.pushes.settled(id);
    expect(deliveries).toMatchObject([{ token, status: "accepted" }]);
    expect(used.worker.emulator.phones.messages(token)).toHaveLength(1);
  });

  it("gets it for the new owner where the former one's waits for the end of their quiet hours", async () => {
    const { first, second, token, id } = await begin();
    const { owner } = used.database;
    await owner.query(
      `insert into app_public.quiet_hours (user_id, starts, ends)
       select $1, now()::time - interval '1 hour', now()::time + interval '1 hour'`,
      [first],
    );
    await chunk(id);
    await until(
      async () => (await used.pushes.ledger(id)).deliveries[0]?.error_code,
      (code) => code === "QUIET_HOURS",
    );
    await register(second, token);
    await chunk(id);
    const { deliveries } = await used.pushes.settled(id);
    expect(deliveries).toMatchObject([{ token, status: "accepted", error_code: null }]);
  });

  it("gets it for the new owner where the former one's was skipped", async () => {
    const { second, token, id } = await begin();
    const { owner } = used.database;
    await chunk(id);
    await until(
      async () => (await used.pushes.ledger(id)).deliveries[0]?.status,
      (status) => status === "accepted",
    );
    await owner.query(
      "update app_public.notification_deliveries set status = 'skipped', error_code = 'DEVICE_GONE', message_id = null where notification_id = $1",
      [id],
    );
    await register(second, token);
    await chunk(id);
    const { deliveries } = await used.pushes.settled(id);
    expect(deliveries).toMatchObject([{ token, status: "accepted" }]);
  });
});

describe("devices of one user", () => {
  it("are a hundred at most: the one that has been silent for longest goes", async () => {
    const id = await createUser(used.database);
    await register(id, ...Array.from({ length: 101 }, (_, n) => `crowd-${n + 1}`));
    const { rows } = await used.database.owner.query(
      `select count(*) filter (where disabled_at is null)::int as live,
         array_agg(token) filter (where disabled_at is not null) as gone
       from app_public.device_tokens where user_id = $1`,
      [id],
    );
    expect(rows).toEqual([{ live: 100, gone: ["crowd-1"] }]);
    await register(id, "crowd-1");
    const { rows: after } = await used.database.owner.query(
      "select token from app_public.device_tokens where user_id = $1 and disabled_at is not null",
      [id],
    );
    expect(after).toEqual([{ token: "crowd-2" }]);
  });
});

describe("devices of one user that register at the same time", () => {
  it("are a hundred at most all the same", async () => {
    const id = await createUser(used.database);
    await register(id, ...Array.from({ length: 95 }, (_, n) => `rush-${n}`));
    for (let round = 1; round <= 2; round += 1) {
      await Promise.all(Array.from({ length: 10 }, (_, n) => register(id, `rush-${round}-${n}`)));
    }
    const { rows } = await used.database.owner.query(
      "select count(*)::int as live from app_public.device_tokens where user_id = $1 and disabled_at is null",
      [id],
    );
    expect(rows).toEqual([{ live: 100 }]);
  });
});

describe("a phone that is somebody else's for a moment", () => {
  it("gets what was skipped meanwhile once its user has it back, and nobody else does", async () => {
    const { id: user, tokens } = await used.pushes.userWithDevices("lent");
    const [token] = tokens as [string];
    const other = await createUser(used.database);
    used.worker.emulator.faults.add({ match: "lent", respond: "INTERNAL", times: 1 });
    const id = await used.pushes.notify([user]);
    await until(
      () => used.pushes.ledger(id),
      ({ deliveries: [first] }) => first?.status === "retrying",
    );
    await register(other, token);
    expect(await used.pushes.settled(id)).toMatchObject({
      status: "no_devices",
      deliveries: [{ status: "skipped", error_code: "DEVICE_GONE" }],
    });
    expect(used.worker.emulator.phones.messages(token)).toEqual([]);
    await register(user, token);
    const { deliveries } = await until(
      () => used.pushes.ledger(id),
      ({ status }) => status === "sent",
    );
    expect(deliveries).toMatchObject([{ status: "accepted", error_code: null }]);
    // A launch that changes nothing repeats nothing.
    await register(user, token);
    expect(used.worker.emulator.phones.messages(token)).toHaveLength(1);
  });

  it("gets nothing back that was canceled, or has expired", async () => {
    const { owner } = used.database;
    const { id: user, tokens } = await used.pushes.userWithDevices("lent");
    const other = await createUser(used.database);
    const ids = [await used.pushes.notify([user]), await used.pushes.notify([user])];
    for (const id of ids) await used.pushes.settled(id);
    await register(other, tokens[0] as string);
    await owner.query(
      "update app_public.notification_deliveries set status = 'skipped', error_code = 'DEVICE_GONE' where user_id = $1",
      [user],
    );
    await owner.query("update app_public.notifications set status = 'canceled' where id = $1", [
      ids[0],
    ]);
    await owner.query(
      "update app_public.notifications set send_at = now() - interval '2 days', expires_at = now() where id = $1",
      [ids[1]],
    );
    await register(user, tokens[0] as string);
    const { rows } = await owner.query(
      "select distinct status from app_public.notification_deliveries where user_id = $1",
      [user],
    );
    expect(rows).toEqual([{ status: "skipped" }]);
  });
});

describe("a large notification that is canceled", () => {
  const statuses = async (id: number) => {
    const { rows } = await used.database.owner.query(
      `select d.status, count(*)::int from app_public.notification_deliveries d
       where d.notification_id = $1 group by d.status`,
      [id],
    );
    return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
  };
  async function crowd(prefix: string, devices: number): Promise<number> {
    const id = await createUser(used.database);
    await used.database.owner.query(
      `insert into app_public.device_tokens (user_id, token, device_type)
       select $1, $2 || '-' || n, 'web' from generate_series(1, $3::int) n`,
      [id, prefix, devices],
    );
    return used.pushes.notify([id]);
  }

  it("is so at once; its deliveries follow in chunks, and none of it is sent", async () => {
    const { owner } = used.database;
    await owner.query("select app_private.pause_pushes('web', 'TEST', 3600, 60)");
    const id = await crowd("many", 6000);
    await until(
      () => statuses(id),
      ({ queued = 0 }) => queued === 6000,
    );
    await until(
      async () =>
        (await owner.query("select from graphile_worker.jobs where locked_at is not null"))
          .rowCount,
      (running) => running === 0,
    );
    const client = await owner.connect();
    await client.query("begin");
    await client.query("select app_public.cancel_notification($1)", [id]);
    const { rows } = await client.query(
      "select status, count(*)::int from app_public.notification_deliveries where notification_id = $1 group by status order by status",
      [id],
    );
    await client.query("commit");
    client.release();
    expect(rows).toEqual([
      { status: "queued", count: 1000 },
      { status: "canceled", count: 5000 },
    ]);
    await until(
      () => statuses(id),
      ({ canceled = 0 }) => canceled === 6000,
    );
    await owner.query(
      "select app_public.lift_push_pause(id) from app_public.push_pauses where ended_at is null",
    );
    expect(await statusOf(id)).toBe("canceled");
    const { rows: left } = await owner.query(
      "select from app_private.delivery_batches where notification_id = $1",
      [id],
    );
    expect(left).toEqual([]);
  });

  it("in mid-batch: the worker hears of it, and hands nothing more to FCM", async () => {
    used.worker.emulator.faults.add({ match: "stopme", respond: "ACCEPT", delay: 900 });
    const id = await crowd("stopme", 500);
    await used.worker.emulator.phones.nextMessage("stopme-1", 10_000);
    await used.database.owner.query("select app_public.cancel_notification($1)", [id]);
    const { canceled, accepted, ...others } = await until(
      () => statuses(id),
      ({ sending, queued }) => sending === undefined && queued === undefined,
      20_000,
    );
    expect(others).toEqual({});
    expect(canceled).toBeGreaterThan(0);
    const received = Array.from(
      { length: 500 },
      (_, n) => used.worker.emulator.phones.messages(`stopme-${n + 1}`).length,
    );
    expect(received.filter((count) => count === 1)).toHaveLength(accepted);
    const { rows } = await used.database.owner.query(
      "select status, sent_status from app_public.notifications where id = $1",
      [id],
    );
    expect(rows).toEqual([{ status: "canceled", sent_status: true }]);
  });
});

describe("push only if unread", () => {
  it("is refused where it expires before the wait is over", async () => {
    const id = await createUser(used.database);
    await expect(
      used.database.owner.query(
        `select app_private.notify($1, 'e', 'm', unread_seconds => 60, expires_at => now() + interval '30 seconds')`,
        [[id]],
      ),
    ).rejects.toMatchObject({ code: "HWINP", column: "unread_seconds" });
  });
});
