import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Settings as MigrateSettings } from "graphile-migrate";
import { runMigrations, Logger as WorkerLogger } from "graphile-worker";
import type { Logger } from "pino";
import { readHistory } from "./committed.ts";
// Its pools linger, and end the process when their connections are cut: they have to go with us.
import { clearAllPools, Logger as MigrateLogger, migrate, run, watch } from "./graphile-migrate.ts";
import { scramVerifier } from "./scram.ts";
import { inTurn } from "./turns.ts";

const ROOT = resolve(import.meta.dirname, "../..");

export interface MigrateOptions {
  /** The owner's connection. */
  databaseUrl: string;
  /** The password that role howdah_authenticator gets; undefined leaves it as it is. */
  authenticatorPassword: string | undefined;
  logger: Logger;
  /** Applies migrations/current.sql too: development only. */
  current?: boolean;
  /** Ours, unless told. */
  migrationsFolder?: string;
}

/**
 * Brings a database to the newest schema: roles, committed migrations, the queue's tables and, in
 * development, current.sql. Safe to run again and by several at once.
 * @throws HistoryError where a committed file was edited
 */
export async function migrateDatabase(options: MigrateOptions): Promise<void> {
  const defaults = await migrateSettings(options.databaseUrl, options.logger);
  const folder = options.migrationsFolder ?? join(ROOT, "migrations");
  const settings = { ...defaults, migrationsFolder: folder };
  await inTurn(options.databaseUrl, async (client) => {
    await readHistory(client, settings);
    try {
      await run(settings, await readFile(join(folder, "roles.sql"), "utf8"), "roles.sql");
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
      await client.query("select app_private.sync_live_triggers()");
    } finally {
      clearAllPools();
    }
  });
}

/** .gmrc as the graphile-migrate command reads it, for this database. */
export async function migrateSettings(
  databaseUrl: string,
  logger: Logger,
): Promise<MigrateSettings & { migrationsFolder: string }> {
  const settings = JSON.parse(await readFile(join(ROOT, ".gmrc"), "utf8")) as MigrateSettings;
  return {
    ...settings,
    connectionString: databaseUrl,
    migrationsFolder: join(ROOT, "migrations"),
    logger: new MigrateLogger(graphileLog(logger)),
  };
}

interface LogMeta {
  error?: unknown;
  /** Of a job that failed. */
  failure?: unknown;
}

/** What Graphile's tools log, written to ours; their chatter is of interest only when debugging. */
export function graphileLog(logger: Logger) {
  return (scope: object) => (level: string, message: string, meta?: LogMeta) => {
    // The end of a job has a line of ours (src/metrics/worker-metrics.ts).
    if (meta?.failure === true) return;
    const method = level === "error" ? "error" : level === "warning" ? "warn" : "debug";
    logger[method]({ ...scope, error: meta?.error }, message);
  };
}
