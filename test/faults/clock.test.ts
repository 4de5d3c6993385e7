import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freezeTime } from "../kit/clock.ts";
import { startTestApi, type TestApi } from "../support/api.ts";
import { type Running, run } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { startTestWorker } from "../support/worker.ts";

const HOUR = 3_600_000;
/** The minute in which src/tasks/crontab.ts has delete_expired run, of each hour. */
const CRON_MINUTE = 17;

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

describe("a clock that is an hour", () => {
  it.each([
    ["ahead", HOUR],
    ["behind", -HOUR],
  ])(
    "%s ends no session and deletes nothing that has time left; a refresh is all that clients need",
    async (_name, shift) => {
      const person = await api.signUp();
      const { owner } = api.database;
      const count = async () =>
        (
          await owner.query(
            `select (select count(*)::int from app_public.sessions where revoked_at is null) as sessions,
             (select count(*)::int from app_private.refresh_tokens) as tokens,
             (select count(*)::int from app_private.security_events) as events`,
          )
        ).rows[0];
      await owner.query(
        `insert into app_public.notifications (users, event, message) values (array[$1::int], 'e', 'm')`,
        [person.userId],
      );
      const before = await count();
      await freezeTime(api.database, new Date(Date.now() + shift));
      const worker = await startTestWorker(api.database);
      await owner.query(
        "select graphile_worker.add_job('delete_expired', job_key := 'by hand', run_at := '-infinity')",
      );
      await until(
        async () =>
          (await owner.query("select from graphile_worker.jobs where key = 'by hand'")).rowCount,
        (left) => left === 0,
        20_000,
      );
      await worker.stop();
      expect(await count()).toEqual(before);
      const { rows } = await owner.query(
        "select status from app_public.notifications where users = array[$1::int]",
        [person.userId],
      );
      expect(rows.map(({ status }) => status)).not.toContain("expired");

      const refreshed = await api.graphql(
        `mutation ($token: String!) { refreshTokens(input: {refreshToken: $token}) { tokens { accessToken } } }`,
        { variables: { token: person.refreshToken } },
      );
      expect(refreshed.errors).toEqual([]);
      const { accessToken } = refreshed.data.refreshTokens.tokens;
      const { data } = await api.graphql("{ me { id } }", { token: accessToken });
      expect(data.me.id).toBe(person.userId);
      // The token of before has outlived its 15 minutes, or is good: it is never somebody else's.
      const old = await api.graphql("{ me { id } }", { token: person.token });
      if (shift > 0) expect(old.status).toBe(401);
      else expect(old.data.me.id).toBe(person.userId);
    },
  );

  it("behind for one worker and right for the next has cron run once for each hour", {
    timeout: 90_000,
  }, async () => {
    const { owner } = api.database;
    await owner.query("create table app_private.test_cron_runs (at timestamptz)");
    await owner.query(
      `create function app_private.tg_test_cron_runs() returns trigger language plpgsql as $$
       begin insert into app_private.test_cron_runs values (clock_timestamp()); return null; end $$`,
    );
    await owner.query(
      `create trigger test_cron_runs after insert on graphile_worker._private_jobs
       for each row when (new.payload::text like '%_cron%') execute function app_private.tg_test_cron_runs()`,
    );
    const runs = async () =>
      (await owner.query("select from app_private.test_cron_runs")).rowCount as number;
    await atCronMinute(0);
    expect(await runs()).toBe(1);
    // The same hour once more, an hour back, and a second worker of the right time.
    await atCronMinute(-HOUR);
    await atCronMinute(0);
    expect(await runs()).toBe(1);
    await atCronMinute(HOUR);
    expect(await runs()).toBe(2);
  });

  /** A worker process whose clock comes to the minute of cron shortly after its start; until it has passed. */
  async function atCronMinute(shift: number): Promise<void> {
    const wanted = new Date();
    wanted.setUTCMinutes(CRON_MINUTE, 0, 0);
    const lead = 8000;
    const clock = wanted.getTime() - lead - Date.now() + shift;
    const worker: Running = run(
      process.execPath,
      [
        "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
        `--import=${resolve("test/support/shifted-clock.mjs")}`,
        "src/worker.ts",
      ],
      {
        env: {
          DATABASE_URL: api.database.ownerUrl,
          WORKER_OPS_PORT: "0",
          LOG_LEVEL: "debug",
          CLOCK_SHIFT: String(clock),
          FCM_EMULATOR_HOST: "127.0.0.1:1",
        },
      },
    );
    try {
      await worker.prints(/"ops":/, 30_000);
      await until(
        async () => Date.now() + clock,
        (now) => now > wanted.getTime() + shift + 2000,
        30_000,
      );
    } finally {
      await worker.ends("SIGTERM");
    }
  }
});
