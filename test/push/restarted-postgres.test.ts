import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { ensureOwner, withUser } from "../../src/database/connections.ts";
import { type EmbeddedCluster, startEmbeddedCluster } from "../../src/database/embedded/cluster.ts";
import { migrateDatabase } from "../../src/database/migrate.ts";
import { type FcmEmulator, startFcmEmulator } from "../../src/push/emulator/emulator.ts";
import { startWorker, type Worker } from "../../src/tasks/worker.ts";
import { serverPid } from "../support/clusters.ts";
import { TEST_PASSWORD } from "../support/global-setup.ts";
import { FINAL } from "../support/pushes.ts";
import { until } from "../support/until.ts";

/** Called for each time that the worker finds the database away. */
let onAway: (() => void) | undefined;
const logger = pino(
  { level: "warn" },
  { write: (line: string) => line.includes("no heartbeat") && onAway?.() },
);
let emulator: FcmEmulator;
let dataDirectory: string;
let cluster: EmbeddedCluster;
let worker: Worker;
let pool: pg.Pool;

beforeAll(async () => {
  emulator = await startFcmEmulator({ host: "127.0.0.1", port: 0 });
  dataDirectory = await mkdtemp(join(tmpdir(), "howdah-restarted-"));
  await chmod(dataDirectory, 0o755);
  // As in production: what a crash takes is what it takes there.
  cluster = await startEmbeddedCluster({ dataDirectory });
  await ensureOwner(cluster.superuserUrl(), TEST_PASSWORD);
  const databaseUrl = withUser(cluster.superuserUrl("howdah"), "howdah_owner", TEST_PASSWORD);
  await migrateDatabase({ databaseUrl, authenticatorPassword: TEST_PASSWORD, logger });
  worker = await startWorker({
    config: loadConfig("worker", {
      WORKER_OPS_PORT: "0",
      FCM_EMULATOR_HOST: emulator.host,
      DATA_DIR: join(dataDirectory, "worker"),
    }),
    databaseUrl,
    logger,
  });
  pool = new pg.Pool({ connectionString: databaseUrl });
  pool.on("error", () => {
    // The restart ends idle connections.
  });
});
afterAll(async () => {
  await worker.stop();
  await pool.end();
  await cluster.stop();
  await emulator.close();
  await rm(dataDirectory, { recursive: true, force: true });
});

/** So many users, whose phones have the tokens `prefix-1` and so on; that many have none. */
async function users(prefix: string, count: number, without = 0): Promise<number[]> {
  const { rows } = await pool.query(
    `with person as (
       insert into app_public.users (first_name) select 'P' from generate_series(1, $2::int + $3) returning id
     ), device as (
       insert into app_public.device_tokens (user_id, token, device_type)
       select id, $1 || '-' || row_number() over (), 'web' from person limit $2
     )
     select array_agg(id) as ids from person`,
    [prefix, count, without],
  );
  return rows[0].ids;
}

async function notify(to: number[], delivery = "at_least_once"): Promise<number> {
  const { rows } = await pool.query(
    "select id from app_private.notify($1, 'e', 'm', delivery => $2)",
    [to, delivery],
  );
  return rows[0].id;
}

async function settled(id: number): Promise<string> {
  return until(
    async () =>
      (await pool.query("select status from app_public.notifications where id = $1", [id])).rows[0]
        .status,
    (status) => FINAL.includes(status),
    100_000,
  );
}

it("PostgreSQL restarted in mid-send: nothing lost, nothing sent twice", {
  timeout: 120_000,
}, async () => {
  emulator.faults.add({ match: "phone", respond: "ACCEPT", delay: 20 });
  const id = await notify(await users("phone", 3000));
  await emulator.phones.nextMessage("phone-1", 60_000);
  await cluster.stop();
  cluster = await startEmbeddedCluster({ dataDirectory });

  expect(await settled(id)).toBe("sent");
  for (let n = 1; n <= 3000; n += 1) {
    expect(emulator.phones.messages(`phone-${n}`)).toHaveLength(1);
  }
});

it("PostgreSQL that crashes in mid-fan-out: nobody is left out, and nobody gets it twice", {
  timeout: 120_000,
}, async () => {
  const phones = 4000;
  const count = 20_000;
  const id = await notify(await users("crash", phones, count - phones));
  const written = async () =>
    (
      await pool.query(
        "select count(*)::int from app_public.notification_recipients where notification_id = $1",
        [id],
      )
    ).rows[0].count;
  const before = await until(written, (some) => some > 0);
  // What PostgreSQL has not handed to the disk yet is lost.
  process.kill(await serverPid(join(dataDirectory, "postgres")), "SIGQUIT");
  await cluster.stop().catch(() => undefined);
  cluster = await startEmbeddedCluster({ dataDirectory });

  expect(await settled(id)).toBe("sent");
  expect(before).toBeLessThan(count);
  expect(await written()).toBe(count);
  const received = Array.from(
    { length: phones },
    (_, n) => emulator.phones.messages(`crash-${n + 1}`).length,
  );
  expect(received.filter((messages) => messages === 0)).toHaveLength(0);
  expect(received.filter((messages) => messages > 1)).toHaveLength(0);
});

it("PostgreSQL that refuses connections in mid-send, for however long: what FCM has taken is not forgotten", {
  timeout: 60_000,
}, async () => {
  const superuser = new pg.Client({ connectionString: cluster.superuserUrl() });
  await superuser.connect();
  emulator.faults.add({ match: "refused", respond: "ACCEPT", delay: 1500 });
  const recipients = [await users("refused-least", 20), await users("refused-most", 20)] as const;
  const ids = [await notify(recipients[0]), await notify(recipients[1], "at_most_once")];
  await until(
    async () => emulator.faults.list().find(({ match }) => match === "refused")?.applied,
    (applied) => applied === 40,
  );
  // SQLSTATE 53300, as where others have taken all connections.
  await superuser.query("alter role howdah_owner connection limit 0");
  await superuser.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'howdah_owner'",
  );
  const missed = () => new Promise<void>((resolve) => (onAway = resolve));
  await missed();
  // Ten minutes have passed, by the worker's clock.
  const now = performance.now.bind(performance);
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + 600_000);
  await missed();
  clock.mockRestore();
  await superuser.query("alter role howdah_owner connection limit -1");
  await superuser.end();

  for (const id of ids) expect(await settled(id)).toBe("sent");
  for (const which of ["least", "most"]) {
    for (let n = 1; n <= 20; n += 1) {
      expect(emulator.phones.messages(`refused-${which}-${n}`)).toHaveLength(1);
    }
  }
});
