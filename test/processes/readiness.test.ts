import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { ensureOwner, withUser } from "../../src/database/connections.ts";
import { type EmbeddedCluster, startEmbeddedCluster } from "../../src/database/embedded/cluster.ts";
import { migrateDatabase } from "../../src/database/migrate.ts";
import { type ApiServer, startApi } from "../../src/http/api-server.ts";
import { type FcmEmulator, startFcmEmulator } from "../../src/push/emulator/emulator.ts";
import { startWorker, type Worker } from "../../src/tasks/worker.ts";
import { serverPid } from "../support/clusters.ts";
import { TEST_PASSWORD } from "../support/global-setup.ts";
import { until } from "../support/until.ts";

const logger = pino({ level: "silent" });
let dataDirectory: string;
let cluster: EmbeddedCluster;
let emulator: FcmEmulator;
let api: ApiServer;
let worker: Worker;

beforeAll(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), "howdah-readiness-"));
  await chmod(dataDirectory, 0o755);
  cluster = await startEmbeddedCluster({ dataDirectory });
  await ensureOwner(cluster.superuserUrl(), TEST_PASSWORD);
  const superuserUrl = cluster.superuserUrl("howdah");
  const databaseUrl = withUser(superuserUrl, "howdah_owner", TEST_PASSWORD);
  const authenticatorUrl = withUser(superuserUrl, "howdah_authenticator", TEST_PASSWORD);
  await migrateDatabase({ databaseUrl, authenticatorPassword: TEST_PASSWORD, logger });
  emulator = await startFcmEmulator({ host: "127.0.0.1", port: 0 });
  const environment = {
    PORT: "0",
    OPS_PORT: "0",
    WORKER_OPS_PORT: "0",
    FCM_EMULATOR_HOST: emulator.host,
    DATA_DIR: join(dataDirectory, "processes"),
  };
  api = await startApi({
    config: loadConfig("api", environment),
    connections: { authenticatorUrl, listenUrl: authenticatorUrl },
    logger,
  });
  worker = await startWorker({ config: loadConfig("worker", environment), databaseUrl, logger });
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
  await emulator.close();
  await cluster.stop();
  await rm(dataDirectory, { recursive: true, force: true });
});

interface State {
  status: number;
  text: string;
  took: number;
}

async function get(url: string): Promise<State> {
  const began = performance.now();
  const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
  return { status: response.status, text: await response.text(), took: performance.now() - began };
}

const both = (path: string) =>
  Promise.all([get(`${api.opsUrl}${path}`), get(`${worker.opsUrl}${path}`)]);
const ready = (timeout: number) =>
  until(
    () => both("/ready"),
    (states) => states.every(({ status }) => status === 200),
    timeout,
  );
const unready = (timeout: number) =>
  until(
    () => both("/ready"),
    (states) => states.every(({ status }) => status === 503),
    timeout,
  );
async function live(): Promise<void> {
  for (const { status, took } of await both("/live")) {
    expect(status).toBe(200);
    expect(took).toBeLessThan(1000);
  }
}
async function asOwner(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: cluster.superuserUrl("howdah") });
  await client.connect();
  await client.query(statement);
  await client.end();
}

describe("/live and /ready of API and worker", () => {
  it("are 200 while all is well", async () => {
    await ready(10_000);
    await live();
  });

  it("follow a PostgreSQL that is stopped, and started again", { timeout: 60_000 }, async () => {
    await cluster.stop();
    await unready(2000);
    for (const { text } of await both("/ready")) expect(text).toBe("the database is not reachable");
    await live();
    const metrics = await get(`${worker.opsUrl}/metrics`);
    expect(metrics.text).toMatch(/^howdah_ready 0$/m);
    cluster = await startEmbeddedCluster({ dataDirectory });
    await ready(30_000);
  });

  it("follow one that does not answer any more, and then does", { timeout: 60_000 }, async () => {
    const pid = await serverPid(join(dataDirectory, "postgres"));
    const client = new pg.Client({ connectionString: cluster.superuserUrl("howdah") });
    await client.connect();
    const { rows } = await client.query(
      "select pid from pg_stat_activity where pid <> pg_backend_pid()",
    );
    await client.end();
    const pids = [pid, ...rows.map((row) => row.pid as number)];
    try {
      for (const one of pids) process.kill(one, "SIGSTOP");
      await unready(5000);
      await live();
    } finally {
      for (const one of pids) process.kill(one, "SIGCONT");
    }
    await ready(30_000);
  });

  it("want the migrations that the code was built for; one more is fine", async () => {
    await asOwner(
      "insert into graphile_migrate.migrations (hash, previous_hash, filename) select 'sha1:next', max(hash), '999999.sql' from graphile_migrate.migrations where filename = (select max(filename) from graphile_migrate.migrations)",
    );
    await new Promise((resolve) => setTimeout(resolve, 600));
    await ready(2000);
    await asOwner("alter table graphile_migrate.migrations rename to away");
    const [ofApi] = await unready(3000);
    expect(ofApi?.text).toBe("the database lacks migrations: run `npm run migrate`");
    await asOwner("alter table graphile_migrate.away rename to migrations");
    await ready(3000);
  });

  it("notice that LISTEN is gone, and that it stands again", async () => {
    await asOwner("alter role howdah_authenticator connection limit 0");
    await asOwner(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'howdah live events'",
    );
    const state = await until(
      () => get(`${api.opsUrl}/ready`),
      ({ status }) => status === 503,
      3000,
    );
    expect(state.text).toBe("live events are interrupted: LISTEN does not stand");
    expect((await get(`${api.opsUrl}/metrics`)).text).toMatch(/^howdah_listen_connected 0$/m);
    await asOwner("alter role howdah_authenticator connection limit -1");
    await ready(15_000);
    await until(
      () => get(`${api.opsUrl}/metrics`),
      ({ text }) => /^howdah_listen_lag_seconds 0\.\d+$/m.test(text),
    );
  });
});
