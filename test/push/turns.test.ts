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
