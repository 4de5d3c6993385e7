import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Settings as MigrateSettings } from "graphile-migrate";
import { type Logger, pino } from "pino";
import { HistoryError, readHistory } from "../database/committed.ts";
import { clearAllPools, watch } from "../database/graphile-migrate.ts";
import { migrateSettings } from "../database/migrate.ts";
import { statementStarts } from "../database/statements.ts";
import { inTurn } from "../database/turns.ts";
import { describeSqlFault, type SqlError } from "./sql-fault.ts";

/** Why the schema of the database did not change: text for the terminal. */
export class MigrationFault extends Error {
  override name = "MigrationFault";
}

/**
 * Brings a database to the committed migrations and migrations/current.sql.
 * @returns which database it is: another one after `npm run db:reset`
 * @throws MigrationFault
 */
export async function applyCurrentMigration(databaseUrl: string, root: string): Promise<number> {
  // What fails is told here, with its line; once is enough.
  const settings = await migrateSettings(databaseUrl, silent);
  const text = await readFile(join(root, PATH), "utf8").catch(() => "");
  try {
    return await inTurn(databaseUrl, async (client) => {
      await readHistory(client, settings);
      refuseTransactions(text);
      try {
        await watch(settings, true);
      } finally {
        clearAllPools();
      }
      const { rows } = await client.query<{ oid: number }>(
        `select d.oid, app_private.sync_live_triggers()
         from pg_database d where d.datname = current_database()`,
      );
      return rows[0]?.oid as number;
    });
  } catch (error) {
    throw await explain(error, settings, databaseUrl, text);
  }
}

/** @throws SqlError where the text begins or ends a transaction: half of it would stay if it fails. */
export function refuseTransactions(text: string): void {
  if (/^--! no-transaction/m.test(text)) return;
  const offset = statementStarts(text).find((start) =>
    /^(begin|start\s+transaction|commit|end|rollback|abort|prepare\s+transaction)\b/i.test(
      text.slice(start, start + 100),
    ),
  );
  if (offset === undefined) return;
  const message = "a migration is one transaction, and neither begins nor ends one itself";
  throw Object.assign(new Error(message), { offset });
}

/** What went wrong with the text of current.sql, as one who wrote it has to know it. */
export async function explain(
  error: unknown,
  settings: MigrateSettings,
  databaseUrl: string,
  text: string,
): Promise<MigrationFault> {
  if (error instanceof HistoryError) return new MigrationFault(error.message, { cause: error });
  const source = { path: PATH, text, placeholders: placeholdersOf(settings, databaseUrl) };
  const message = await describeSqlFault(error as SqlError, source, databaseUrl);
  return new MigrationFault(message, { cause: error });
}

/** A migration as it is run: with its placeholders replaced. */
export function compile(text: string, settings: MigrateSettings, databaseUrl: string): string {
  const placeholders = placeholdersOf(settings, databaseUrl);
  return Object.entries(placeholders).reduce(
    (sql, [name, value]) => sql.replace(new RegExp(`${RegExp.escape(name)}\\b`, "g"), () => value),
    text,
  );
}

function placeholdersOf(settings: MigrateSettings, databaseUrl: string): Record<string, string> {
  const { username, pathname } = new URL(databaseUrl);
  return {
    ...settings.placeholders,
    ":DATABASE_OWNER": decodeURIComponent(username),
    ":DATABASE_NAME": decodeURIComponent(pathname.slice(1)),
  };
}

const PATH = "migrations/current.sql";
const silent: Logger = pino({ level: "silent" });
