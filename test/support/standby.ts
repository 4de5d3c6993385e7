import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { withUser } from "../../src/database/connections.ts";
import { giveTo, postgresAccount } from "../../src/database/embedded/account.ts";
import { findBinaries } from "../../src/database/embedded/binaries.ts";
import { freePort } from "../../src/database/embedded/port.ts";
import { type StartedServer, startServer } from "../../src/database/embedded/watchdog.ts";
import { createThrowawayDatabase } from "../../src/database/throwaway.ts";
import type { TestDatabase } from "./database.ts";
import { TEST_PASSWORD } from "./global-setup.ts";

/** A server with a database of its own, as an object that startTestApi takes. */
export async function createOwnServer(settings?: Record<string, string>): Promise<TestDatabase> {
  const { superuserUrl, ownerUrl, drop } = await createThrowawayDatabase(TEST_PASSWORD, {
    ...(settings ? { settings } : {}),
  });
  const owner = new pg.Pool({ connectionString: ownerUrl, max: 4 });
  owner.on("error", () => {
    // `drop` ends it.
  });
  return {
    name: "howdah",
    superuserUrl: onDatabase(superuserUrl),
    ownerUrl,
    authenticatorUrl: withUser(ownerUrl, "howdah_authenticator", TEST_PASSWORD),
    owner,
    async drop() {
      await owner.end();
      await drop();
    },
  };
}

/** A copy of a running server's files, as pg_basebackup would make it: what a standby or a restore begins with. */
export async function baseBackup(superuserUrl: string): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "howdah-base-"));
  await chmod(made, 0o755);
  const directory = join(made, "postgres");
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ from: string }>(
      "select current_setting('data_directory') as from",
    );
    await client.query("select pg_backup_start('test', fast => true)");
    execFileSync("cp", ["-a", rows[0]?.from as string, directory]);
    const { rows: stopped } = await client.query<{ labelfile: string }>(
      "select labelfile from pg_backup_stop(wait_for_archive => false)",
    );
    for (const file of ["postmaster.pid", "postmaster.opts"]) {
      await rm(join(directory, file), { force: true });
    }
    await give(join(directory, "backup_label"), stopped[0]?.labelfile as string);
  } finally {
    await client.end();
  }
  return directory;
}

/** A file of the server's own. */
export async function give(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
  giveTo(path, postgresAccount());
}

export interface OwnServer {
  /** The superuser's, of the database `howdah`. */
  superuserUrl: string;
  stop(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

/** Starts PostgreSQL on these files. */
export async function startOn(
  directory: string,
  primaryUrl: string,
  settings: Record<string, string>,
): Promise<OwnServer> {
  const account = postgresAccount();
  const server = { directory, account, binaries: await findBinaries(account) };
  const port = await freePort(0);
  let started: StartedServer | undefined;
  const start = async () => {
    started = await startServer(server, {
      fsync: "off",
      max_connections: "200",
      ...settings,
      listen_addresses: "127.0.0.1",
      unix_socket_directories: "",
      port: String(port),
    });
  };
  await start();
  const url = new URL(primaryUrl);
  url.port = String(port);
  const stop = async () => {
    await started?.stop();
    started = undefined;
  };
  return {
    superuserUrl: url.href,
    start,
    stop,
    async remove() {
      await stop();
      await rm(join(directory, ".."), { recursive: true, force: true });
    },
  };
}

/** A streaming replica of a running server. */
export async function startReplica(superuserUrl: string): Promise<OwnServer> {
  const directory = await baseBackup(superuserUrl);
  await give(join(directory, "standby.signal"), "");
  const { hostname, port, username, password } = new URL(superuserUrl);
  return startOn(directory, superuserUrl, {
    primary_conninfo: `host=${hostname} port=${port} user=${username} password=${password}`,
    hot_standby: "on",
  });
}

function onDatabase(url: string): string {
  const changed = new URL(url);
  changed.pathname = "/howdah";
  return changed.href;
}
