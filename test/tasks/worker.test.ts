import pg from "pg";
import { describe, expect, it, vi } from "vitest";
import { usePushes } from "../support/pushes.ts";
import { searchedLogger } from "../support/secrets.ts";
import { until } from "../support/until.ts";

const used = usePushes();

describe("the worker", () => {
  it("is ready while its database is there", async () => {
    // LISTEN stands a moment after jobs are taken.
    await until(
      async () => (await fetch(`${used.worker.opsUrl}/ready`)).status,
      (status) => status === 200,
      30_000,
    );
    expect((await fetch(`${used.worker.opsUrl}/live`)).status).toBe(200);
  });

  it("a job with a wrong payload fails with what is wrong, in one line of the log, and the others go on", async () => {
    const [errors, warnings] = [
      vi.spyOn(searchedLogger, "error"),
      vi.spyOn(searchedLogger, "warn"),
    ];
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
    await until(
      async () => errors.mock.calls.length,
      (lines) => lines > 0,
    );
    expect([...errors.mock.calls, ...warnings.mock.calls]).toEqual([
      [expect.objectContaining({ task: "fan_out_notification", attempt: 1 }), "job given up"],
    ]);
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

  it("deletes expired rows of every kind in small batches", async () => {
    const { owner } = used.database;
    // The task of the test before looks once more whether something is left.
    await until(
      () =>
        owner.query("select from graphile_worker.jobs where task_identifier = 'delete_expired'"),
      ({ rowCount }) => rowCount === 0,
    );
    const { id } = await used.pushes.userWithDevices();
    const {
      rows: [session],
    } = await owner.query(
      "insert into app_public.sessions (user_id, expires_at) values ($1, now() + interval '1 day') returning id",
      [id],
    );
    await owner.query(
      `insert into app_private.refresh_tokens (session_id, generation, token_hash, expires_at)
       select $1, n, sha256(convert_to('r' || n, 'utf8')), now() - interval '8 days' from generate_series(1, 7) n`,
      [session.id],
    );
    await owner.query(
      `insert into app_private.user_tokens (user_id, purpose, target, token_hash, expires_at)
       values ($1, 'email_verification', 'a@example.com', sha256('u'), now() - interval '2 days')`,
      [id],
    );
    await owner.query(
      `insert into app_private.used_sign_in_states (state_hash, expires_at)
       select sha256(convert_to('s' || n, 'utf8')), now() - interval '1 second' from generate_series(1, 7) n`,
    );
    await owner.query(
      `insert into app_private.data_deletions (confirmation_code_hash, created_at)
       values (sha256('d'), now() - interval '13 months'), (sha256('e'), now() - interval '11 months')`,
    );
    await owner.query(
      `insert into app_private.sign_in_codes (code_hash, code_challenge, identity, expires_at)
       values (sha256('c'), '', row('google', 's', null, null, null, null, null, null, null, null),
         now() - interval '1 second')`,
    );
    const deleteFive = async () =>
      (await owner.query("select app_private.delete_expired(5) as rows")).rows[0].rows;
    // 5 of the tokens and states, and the one of each other kind; then what is left.
    expect(await deleteFive()).toBe(5 + 5 + 3);
    expect(await deleteFive()).toBe(2 + 2);
    expect(await deleteFive()).toBe(0);
    const { rows } = await owner.query("select count(*)::int from app_private.data_deletions");
    expect(rows).toEqual([{ count: 1 }]);
  });
});

describe("notifications that wait", () => {
  it("by the thousand hold back no mail and no other work of the worker", async () => {
    const { owner } = used.database;
    const { id } = await used.pushes.userWithDevices("good");
    await owner.query(
      "select count(app_private.notify(array[$1::int], 'e', 'm')) from generate_series(1, 3000)",
      [id],
    );
    const left = async (task: string) =>
      (await owner.query("select from graphile_worker.jobs where task_identifier = $1", [task]))
        .rowCount;
    await owner.query("select graphile_worker.add_job('delete_expired')");
    await until(
      () => left("delete_expired"),
      (jobs) => jobs === 0,
    );
    expect(await left("fan_out_notification")).toBeGreaterThan(0);
    // Nobody waits for these.
    await owner.query("update app_public.notifications set status = 'canceled' where event = 'e'");
    await owner.query(
      `select graphile_worker.complete_jobs(array_agg(id)) from graphile_worker.jobs
       where locked_at is null and task_identifier = 'fan_out_notification'`,
    );
  });
});

// Last: what hangs is waited for until the worker ends.
describe("pushes that hang", () => {
  it("hold back no other work of the worker, such as the inbox and mails", async () => {
    const rule = used.worker.emulator.faults.add({ match: "stuck", respond: "HANG" });
    for (let n = 0; n < 6; n += 1) {
      const { id } = await used.pushes.userWithDevices("stuck");
      await used.pushes.notify([id]);
    }
    await until(
      async () => rule.applied,
      // More than there are slots for batches.
      (applied) => applied === 6,
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
