import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import pg from "pg";
import { pino } from "pino";
import { ensureOwner, withUser } from "./connections.ts";
import { startEmbeddedCluster } from "./embedded/cluster.ts";
import { migrateDatabase } from "./migrate.ts";

/** How long connections may take to close after a failure, milliseconds. */
const LETTING_GO = 5000;

export interface ThrowawayDatabase {
  /** Of the cluster's database `postgres`. */
  superuserUrl: string;
  /** Of `howdah`, which has the newest schema. */
  ownerUrl: string;
  /** Stops the cluster and removes it. */
  drop(): Promise<void>;
}

/** A migration that PostgreSQL refuses: the message shows where. */
export class MigrationError extends Error {
  override name = "MigrationError";
}

/**
 * A cluster of its own in the folder for temporary files, with all committed migrations, and with
 * current.sql where that is asked for.
 * @throws {MigrationError}
 */
export async function createThrowawayDatabase(
  password: string,
  options: { current?: boolean; settings?: Record<string, string> } = {},
): Promise<ThrowawayDatabase> {
  const dataDirectory = await mkdtemp(join(tmpdir(), "howdah-test-"));
  const remove = () => rm(dataDirectory, { recursive: true, force: true });
  await using stack = new AsyncDisposableStack();
  stack.defer(remove);
  // PostgreSQL may have to run as somebody else.
  await chmod(dataDirectory, 0o755);
  const cluster = await startEmbeddedCluster({
    dataDirectory,
    settings: {
      fsync: "off",
      synchronous_commit: "off",
      full_page_writes: "off",
      ...options.settings,
    },
  });
  stack.defer(() => cluster.stop());
  const superuserUrl = cluster.superuserUrl();
  await ensureOwner(superuserUrl, password);
  const ownerUrl = withUser(cluster.superuserUrl("howdah"), "howdah_owner", password);
  try {
    await migrateDatabase({
      databaseUrl: ownerUrl,
      authenticatorPassword: password,
      logger: pino({ level: "silent" }),
      current: options.current ?? false,
    });
  } catch (error) {
    await untilAlone(superuserUrl);
    // A statement that fails is shown with its line and a caret.
    const shown = (error as { _gmMessageOverride?: string })._gmMessageOverride;
    throw shown === undefined ? error : new MigrationError(shown, { cause: error });
  }
  const kept = stack.move();
  return { superuserUrl, ownerUrl, drop: () => kept.disposeAsync() };
}

/** graphile-migrate ends the process where a connection that it has not let go of yet is cut. */
async function untilAlone(superuserUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    for (let tries = 0; tries < LETTING_GO / 50; tries += 1) {
      const { rowCount } = await client.query(
        `select from pg_catalog.pg_stat_activity
         where backend_type = 'client backend' and pid <> pg_backend_pid()`,
      );
      if (rowCount === 0) return;
      await setTimeout(50);
    }
  } finally {
    await client.end();
  }
}
