import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  Logger as MigrateLogger,
  type Settings as MigrateSettings,
  migrate,
  run,
  watch,
} from "graphile-migrate";
// Its pools linger, and end the process when their connections are cut: they have to go with us.
import { clearAllPools } from "graphile-migrate/dist/pgReal.js";
import { runMigrations, Logger as WorkerLogger } from "graphile-worker";
import pg from "pg";
import type { Logger } from "pino";
import { scramVerifier } from "./scram.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** Two migrators at once take turns; any number that nothing else locks. */
const MIGRATION_LOCK = 7_305_814;

export interface MigrateOptions {
  /** The owner's connection. */
  databaseUrl: string;
  /** The password that role howdah_authenticator gets; undefined leaves it as it is. */
  authenticatorPassword: string | undefined;
  logger: Logger;
  /** Applies migrations/current.sql too: development only. */
  current?: boolean;
}

/**
 * Brings a database to the newest schema: roles, committed migrations, the queue's tables and, in
 * development, current.sql. Safe to run again and by several at once.
 */
export async function migrateDatabase(options: MigrateOptions): Promise<void> {
  const settings = await migrateSettings(options.databaseUrl, options.logger);
  const client = new pg.Client({ connectionString: options.databaseUrl });
  await client.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [MIGRATION_LOCK]);
    await run(settings, await readFile(join(ROOT, "migrations/roles.sql"), "utf8"), "roles.sql");
    if (options.authenticatorPassword !== undefined) {
      const verifier = scramVerifier(options.authenticatorPassword);
      await client.query(
        `alter role howdah_authenticator login password ${client.escapeLiteral(verifier)}`,
      );
    }
    await runMigrations({
      connectionString: options.databaseUrl,
      logger: new WorkerLogger(graphileLog(options.logger)),
    });
    await migrate(settings);
    if (options.current) await watch(settings, true);
    await syncLiveTriggers(options.databaseUrl);
  } finally {
    clearAllPools();
    await client.end();
  }
}

/** Tables that carry @live by now tell of their changes, and others do not any more. */
export async function syncLiveTriggers(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("select app_private.sync_live_triggers()");
  } finally {
    await client.end();
  }
}

/** .gmrc as the graphile-migrate command reads it, for this database. */
export async function migrateSettings(
  databaseUrl: string,
  logger: Logger,
): Promise<MigrateSettings> {
  const settings = JSON.parse(await readFile(join(ROOT, ".gmrc"), "utf8")) as MigrateSettings;
  return {
    ...settings,
    connectionString: databaseUrl,
    migrationsFolder: join(ROOT, "migrations"),
    logger: new MigrateLogger(graphileLog(logger)),
  };
}

/** What Graphile's tools log, written to ours; their chatter is of interest only when debugging. */
export function graphileLog(logger: Logger) {
  return (scope: object) => (level: string, message: string, meta?: { error?: unknown }) => {
    const method = level === "error" ? "error" : level === "warning" ? "warn" : "debug";
    logger[method]({ ...scope, error: meta?.error }, message);
  };
}
