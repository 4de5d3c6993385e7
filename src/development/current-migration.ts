import type { Settings as MigrateSettings } from "graphile-migrate";
import pg from "pg";
import { type Logger, pino } from "pino";
import { HistoryError, readHistory, refuseAhead } from "../database/committed.ts";
import {
  cancelQueries,
  clearAllPools,
  isNoTransactionDefined,
  watch,
} from "../database/graphile-migrate.ts";
import { migrateDatabase, migrateSettings } from "../database/migrate.ts";
import { statementStarts } from "../database/statements.ts";
import { inTurn } from "../database/turns.ts";
import { CURRENT_PATH, MigrationFault, readCurrent, stageCurrent } from "./current-file.ts";
import { describeSqlFault, type SqlError } from "./sql-fault.ts";

/** A query that is called back before it has begun is called back again, milliseconds. */
const AGAIN = 500;

/**
 * Brings a database to the committed migrations and migrations/current.sql.
 * @param signal calls it back: what runs is ended, and nothing of it stays
 * @returns which database it is (another one after `npm run db:reset`), and whether the file has a statement at all
 * @throws MigrationFault
 */
export async function applyCurrentMigration(
  databaseUrl: string,
  root: string,
  signal = new AbortController().signal,
): Promise<{ oid: number; isEmpty: boolean }> {
  // What fails is told here, with its line; once is enough.
  const settings = await migrateSettings(databaseUrl, silent);
  try {
    await runCommitted(databaseUrl, settings);
    return await inTurn(databaseUrl, async (client) => {
      refuseAhead(await readHistory(client, settings));
      // In our turn: `db:commit` has emptied it, or it has not begun.
      const text = await readCurrent(root);
      try {
        refuseTransactions(text);
        await runCurrent(databaseUrl, settings, text, signal);
      } catch (error) {
        signal.throwIfAborted();
        throw await explain(error, settings, databaseUrl, text);
      }
      await syncLiveTriggers(client);
      const { rows } = await client.query<{ oid: number }>(
        "select oid from pg_database where datname = current_database()",
      );
      return { oid: rows[0]?.oid as number, isEmpty: statementStarts(text).length === 0 };
    });
  } catch (error) {
    if (error instanceof MigrationFault) throw error;
    if (signal.aborted) throw new MigrationFault("A newer save takes its place.", { cause: error });
    const away = error instanceof HistoryError ? undefined : await whyAway(databaseUrl);
    throw new MigrationFault(away ?? (error as Error).message, { cause: error });
  }
}

/** What `npm run migrate` does, where there is something to be done: after a git pull, say. */
async function runCommitted(databaseUrl: string, settings: MigrateSettings): Promise<void> {
  const { pending } = await inTurn(databaseUrl, (client) => readHistory(client, settings));
  if (pending.length === 0) return;
  try {
    await migrateDatabase({ databaseUrl, authenticatorPassword: undefined, logger: silent });
  } catch (error) {
    const [first] = pending;
    throw new MigrationFault(
      `The committed migrations, from ${first} on, do not run in this database: ${(error as Error).message}\n\`npm run migrate\` says more.`,
      { cause: error },
    );
  }
}

async function runCurrent(
  databaseUrl: string,
  settings: MigrateSettings & { migrationsFolder: string },
  text: string,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  await using staged = await stageCurrent(settings, text);
  let again: NodeJS.Timeout | undefined;
  const callBack = () => {
    void cancelQueries(databaseUrl).catch(() => {});
    again = setTimeout(callBack, AGAIN);
  };
  signal.addEventListener("abort", callBack);
  try {
    await watch(staged.settings, true);
  } finally {
    signal.removeEventListener("abort", callBack);
    clearTimeout(again);
    clearAllPools();
  }
}

async function syncLiveTriggers(client: pg.ClientBase): Promise<void> {
  try {
    await client.query("select app_private.sync_live_triggers()");
  } catch (cause) {
    throw new MigrationFault(
      `migrations/current.sql is run, but has taken or changed what Howdah itself uses: ${(cause as Error).message}\nPut that right in it, or take it out and make the database anew: npm run db:reset`,
      { cause },
    );
  }
}

/** Why PostgreSQL cannot be asked at all; undefined where it can. */
async function whyAway(databaseUrl: string): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on("error", () => {});
  try {
    await client.connect();
    return undefined;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return `PostgreSQL does not answer (${code ?? message}): migrations/current.sql is not applied. Start it and save again; the embedded one comes back with a new \`npm run dev\`.`;
  } finally {
    await client.end().catch(() => {});
  }
}

/** @throws SqlError where the text begins or ends a transaction: half of it would stay if it fails. */
export function refuseTransactions(text: string): void {
  if (isNoTransactionDefined(text)) return;
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
  if (error instanceof MigrationFault) return error;
  if (error instanceof HistoryError) return new MigrationFault(error.message, { cause: error });
  let fault = error as SqlError;
  if (fault.severity === undefined && fault.offset === undefined) {
    const away = await whyAway(databaseUrl);
    if (away !== undefined) return new MigrationFault(away, { cause: error });
    if (CUT.test(fault.message)) {
      fault = { code: "57P01", message: "a statement ends the connection that runs the file" };
    }
  }
  const source = { path: CURRENT_PATH, text, placeholders: placeholdersOf(settings, databaseUrl) };
  return new MigrationFault(await describeSqlFault(fault, source, databaseUrl), { cause: error });
}

/** Of pg, where the connection has gone. */
const CUT = /^Connection terminated|connection error and is not queryable/;

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

const silent: Logger = pino({ level: "silent" });
