import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { ensureOwner, withUser } from "../../src/database/connections.ts";
import { startEmbeddedCluster } from "../../src/database/embedded/cluster.ts";
import { migrateDatabase } from "../../src/database/migrate.ts";
import { startFcmEmulator } from "../../src/push/emulator/emulator.ts";
import { freePort } from "./free-port.ts";
import { type Running, runEntry } from "./processes.ts";
import { queryOnce } from "./query-once.ts";

const PASSWORD = "test";

export interface ApiProcess extends Running {
  url: string;
  opsUrl: string;
}

export interface WorkerProcess extends Running {
  opsUrl: string;
}

/**
 * A PostgreSQL of one's own that may be stopped and started, with what is durable in production durable,
 * and API and worker processes on it. For faults; all of it is gone after `close()`.
 */
export async function createService() {
  await using stack = new AsyncDisposableStack();
  const dataDirectory = await mkdtemp(join(tmpdir(), "howdah-service-"));
  stack.defer(() => rm(dataDirectory, { recursive: true, force: true }));
  await chmod(dataDirectory, 0o755);
  const begin = () => startEmbeddedCluster({ dataDirectory });
  let cluster = await begin();
  stack.defer(() => cluster.stop());
  await ensureOwner(cluster.superuserUrl(), PASSWORD);
  const superuserUrl = cluster.superuserUrl("howdah");
  const ownerUrl = withUser(superuserUrl, "howdah_owner", PASSWORD);
  const authenticatorUrl = withUser(superuserUrl, "howdah_authenticator", PASSWORD);
  const logger = pino({ level: "silent" });
  await migrateDatabase({ databaseUrl: ownerUrl, authenticatorPassword: PASSWORD, logger });
  const emulator = await startFcmEmulator({ host: "127.0.0.1", port: 0 });
  stack.defer(() => emulator.close());
  const owner = new pg.Pool({ connectionString: ownerUrl, max: 4 });
  owner.on("error", () => {
    // A fault that was meant.
  });
  stack.defer(() => owner.end());
  const running = new Set<Running>();
  stack.defer(async () => {
    await Promise.all([...running].map((process) => process.ends("SIGKILL")));
  });

  const environment = {
    AUTHENTICATOR_DATABASE_URL: authenticatorUrl,
    DATA_DIR: join(dataDirectory, "processes"),
    FCM_EMULATOR_HOST: emulator.host,
    RATE_LIMIT_FACTOR: "100000",
    // One for all of them: it is who issues their tokens.
    PUBLIC_URL: "http://localhost:5678",
    OPS_PORT: "0",
    WORKER_OPS_PORT: "0",
  };

  function start(entry: string, environmentOfIt: Record<string, string>): Running {
    const process = runEntry(entry, environmentOfIt);
    running.add(process);
    process.child.once("exit", () => running.delete(process));
    return process;
  }

  const kept = stack.move();
  return {
    superuserUrl,
    ownerUrl,
    authenticatorUrl,
    owner,
    emulator,
    dataDirectory,
    /** `npm run api`, by default on a port that nobody has. */
    async startApi(more: Record<string, string> = {}): Promise<ApiProcess> {
      const port = more.PORT ?? String(await freePort());
      const process = start("src/api.ts", {
        ...environment,
        PORT: port,
        LOG_LEVEL: "info",
        ...more,
      });
      const [, url = "", opsUrl = ""] = await process.prints(
        /"url":"([^"]+)","ops":"([^"]+)".*"API ready"/,
        120_000,
      );
      return Object.assign(process, { url, opsUrl });
    },
    /** `npm run worker`. */
    async startWorker(more: Record<string, string> = {}): Promise<WorkerProcess> {
      const process = start("src/worker.ts", {
        ...environment,
        DATABASE_URL: ownerUrl,
        LOG_LEVEL: "info",
        ...more,
      });
      const [, opsUrl = ""] = await process.prints(/"ops":"([^"]+)"/, 120_000);
      return Object.assign(process, { opsUrl });
    },
    /** PostgreSQL's fast shutdown, or the one that leaves recovery to the next start. */
    async stopPostgres(mode: "fast" | "immediate"): Promise<void> {
      if (mode === "immediate") {
        const { rows } = await queryOnce(
          superuserUrl,
          "select pid from (select pg_read_file('postmaster.pid') as text) f, split_part(text, E'\\n', 1) as pid",
        );
        process.kill(Number(rows[0].pid), "SIGQUIT");
      }
      await cluster.stop();
    },
    async startPostgres(): Promise<void> {
      cluster = await begin();
    },
    asSuperuser: (statement: string, values?: unknown[]) =>
      queryOnce(superuserUrl, statement, values),
    close: () => kept.disposeAsync(),
  };
}

export type Service = Awaited<ReturnType<typeof createService>>;
