import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { watch } from "graphile-migrate";
import { clearAllPools } from "graphile-migrate/dist/pgReal.js";
import { type Logger, pino } from "pino";
import { HistoryError, readHistory } from "../database/committed.ts";
import { migrateSettings } from "../database/migrate.ts";
import { inTurn } from "../database/turns.ts";
import { describeSqlFault, type SqlError } from "./sql-fault.ts";

/** Why the schema of the database did not change: text for the terminal. */
export class MigrationFault extends Error {
  override name = "MigrationFault";
}

/** Brings a database to the committed migrations and migrations/current.sql. @throws MigrationFault */
export async function applyCurrentMigration(databaseUrl: string, root: string): Promise<void> {
  // What fails is told here, with its line; once is enough.
  const settings = await migrateSettings(databaseUrl, silent);
  const path = "migrations/current.sql";
  const text = await readFile(join(root, path), "utf8").catch(() => "");
  try {
    await inTurn(databaseUrl, async (client) => {
      await readHistory(client, settings);
      try {
        await watch(settings, true);
      } finally {
        clearAllPools();
      }
      await client.query("select app_private.sync_live_triggers()");
    });
  } catch (error) {
    if (error instanceof HistoryError) throw new MigrationFault(error.message, { cause: error });
    const { username, pathname } = new URL(databaseUrl);
    const placeholders = {
      ...settings.placeholders,
      ":DATABASE_OWNER": decodeURIComponent(username),
      ":DATABASE_NAME": decodeURIComponent(pathname.slice(1)),
    };
    const source = { path, text, placeholders };
    throw new MigrationFault(await describeSqlFault(error as SqlError, source, databaseUrl), {
      cause: error,
    });
  }
}

const silent: Logger = pino({ level: "silent" });
