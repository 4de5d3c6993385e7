import pg from "pg";
import { describe, expect, it } from "vitest";
import { usePushes } from "../support/pushes.ts";
import { until } from "../support/until.ts";

const used = usePushes();

describe("the worker", () => {
  it("is ready while its database is there", async () => {
    expect((await fetch(`${used.worker.opsUrl}/ready`)).status).toBe(200);
    expect((await fetch(`${used.worker.opsUrl}/live`)).status).toBe(200);
  });

  it("a job with a wrong payload fails with what is wrong, and the others go on", async () => {
    await used.database.owner.query(
      "select graphile_worker.add_job('fan_out_notification', '{\"notificationId\": \"x\"}', max_attempts := 1)",
    );
    const { rows } = await until(
      () =>
        used.database.owner.query(
          `select last_error from graphile_worker._private_jobs where max_attempts = 1 and last_error is not null`,
        ),
      ({ rowCount }) => rowCount === 1,
    );
    expect(rows[0].last_error).toContain("notificationId");
    const { id } = await used.pushes.userWithDevices("phone");
    expect((await used.pushes.settled(await used.pushes.notify([id]))).status).toBe("sent");
  });
});

describe("a database that goes away while FCM has the messages", () => {
  it("loses no outcome, and nothing is sent twice", async () => {
    const { id } = await used.pushes.userWithDevices();
    await used.database.owner.query(
      `insert into app_public.device_tokens (user_id, token, device_type)
       select $1, 'cut-' || n, 'web' from generate_series(1, 400) n`,
      [id],
    );
    const client = new pg.Client({ connectionString: used.database.superuserUrl });
    await client.connect();
    const notificationId = await used.pushes.notify([id]);
    await used.worker.emulator.phones.nextMessage("cut-1", 5000);
    const { rowCount } = await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'howdah worker' and datname = current_database()`,
    );
    expect(rowCount).toBeGreaterThan(0);
    await client.end();
    const { status, deliveries } = await used.pushes.settled(notificationId, 30_000);
    expect(status).toBe("sent");
    expect(deliveries).toHaveLength(400);
    for (let n = 1; n <= 400; n += 1) {
      expect(used.worker.emulator.phones.messages(`cut-${n}`)).toHaveLength(1);
    }
  }, 40_000);
});

describe("delete_expired", () => {
  it("deletes what has had its time in batches, and keeps the rest", async () => {
    const { id } = await used.pushes.userWithDevices();
    await used.database.owner.query(
      `insert into app_private.security_events (user_id, kind, created_at)
       select $1, 'logged_in', now() - interval '91 days' from generate_series(1, 2500)`,
      [id],
    );
    await used.database.owner.query(
      `insert into app_private.security_events (user_id, kind, created_at)
       values ($1, 'logged_in', now() - interval '89 days')`,
      [id],
    );
    await used.database.owner.query(
      `insert into app_public.sessions (user_id, revoked_at, revoked_reason, expires_at) values
         ($1, now() - interval '91 days', 'log_out', now()), ($1, null, null, now() - interval '8 days'),
         ($1, null, null, now() + interval '1 day')`,
      [id],
    );
    await used.database.owner.query(
      `insert into app_private.attempts (kind, key, last_attempt_at)
       values ('log_in', sha256('old'), now() - interval '2 days'), ('log_in', sha256('new'), now())`,
    );
    await used.database.owner.query("select graphile_worker.add_job('delete_expired')");
    const left = async () =>
      (
        await used.database.owner.query(
          `select (select count(*)::int from app_private.security_events where user_id = $1) as events,
             (select count(*)::int from app_public.sessions where user_id = $1) as sessions,
             (select count(*)::int from app_private.attempts) as attempts`,
          [id],
        )
      ).rows[0];
    await until(left, ({ events, attempts }) => events === 1 && attempts === 1);
    expect(await left()).toEqual({ events: 1, sessions: 1, attempts: 1 });
  });
});

// Last: what hangs keeps its slots until the worker ends.
describe("pushes that hang", () => {
  it("hold back no other work of the worker, such as the inbox and mails", async () => {
    used.worker.emulator.faults.add({ match: "stuck", respond: "HANG" });
    for (let n = 0; n < 6; n += 1) {
      const { id } = await used.pushes.userWithDevices("stuck");
      await used.pushes.notify([id]);
    }
    await until(
      async () =>
        (
          await used.database.owner.query(
            "select from app_public.notification_deliveries where status = 'sending'",
          )
        ).rowCount,
      (sending) => sending === 4,
    );
    const { id: reader } = await used.pushes.userWithDevices("fine");
    await used.pushes.notify([reader]);
    await until(
      async () =>
        (
          await used.database.owner.query(
            "select from app_public.notification_recipients where user_id = $1",
            [reader],
          )
        ).rowCount,
      (inbox) => inbox === 1,
      5000,
    );
    const { rows } = await used.database.owner.query(
      "select (graphile_worker.add_job('delete_expired')).id",
    );
    await until(
      async () =>
        (
          await used.database.owner.query("select from graphile_worker.jobs where id = $1", [
            rows[0].id,
          ])
        ).rowCount,
      (left) => left === 0,
      5000,
    );
  });
});
