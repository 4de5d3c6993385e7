import type { ClientBase } from "pg";
import type { Keyring } from "../auth/sealing.ts";
import { ImportError, targetFault } from "./faults.ts";
import { quieten } from "./quiet.ts";
import { type ImportReport, reportOn, type TableReport } from "./report.ts";
import { restartIds } from "./sequences.ts";
import { settle } from "./settle.ts";
import { openSource, type Source } from "./source.ts";
import { stage } from "./stage.ts";
import type { ImportTable, TableName } from "./table.ts";
import { deviceTokens } from "./tables/device-tokens.ts";
import { items } from "./tables/items.ts";
import { notifications } from "./tables/notifications.ts";
import { oauth2Credentials } from "./tables/oauth2-credentials.ts";
import { refreshTokens } from "./tables/refresh-tokens.ts";
import { users } from "./tables/users.ts";

export interface ImportOptions {
  /** URL of the template's database. */
  from: string;
  /** Of Howdah's database, as its owner. */
  target: ClientBase;
  /** Encrypts the tokens of providers. */
  keyring: Keyring;
  /** Does everything and undoes it. */
  dryRun: boolean;
}

/** Users first: the others are judged by what became of theirs. */
const TABLES: readonly ImportTable[] = [
  users,
  refreshTokens,
  deviceTokens,
  notifications,
  oauth2Credentials,
  items,
];

/** All that is written to, apart from the tables that keep the rows. */
const OTHERS = [
  "app_private.user_secrets",
  "app_private.user_tokens",
  "app_private.refresh_tokens",
  "app_private.oauth2_tokens",
  "app_public.notification_recipients",
  "app_private.imported_rows",
];

/**
 * Moves a database of the FastAPI template into Howdah's, in one transaction here and one snapshot there.
 * Can be run again: then it adds what is new.
 * @throws {ImportError} with one line; nothing is changed then.
 */
export async function importFastapi(options: ImportOptions): Promise<ImportReport> {
  const source = await openSource(options.from, TABLES);
  try {
    return await inTransaction(options, source);
  } catch (error) {
    throw targetFault(error);
  } finally {
    await source.close();
  }
}

async function inTransaction(options: ImportOptions, source: Source): Promise<ImportReport> {
  const { target, dryRun } = options;
  await target.query("begin");
  try {
    const report = await moveAll(options, source);
    await target.query(dryRun ? "rollback" : "commit");
    return report;
  } catch (error) {
    // Where the connection is lost, so is the transaction: the first error tells why.
    await target.query("rollback").catch(() => {});
    throw error;
  }
}

async function moveAll(
  { target, keyring, dryRun }: ImportOptions,
  source: Source,
): Promise<ImportReport> {
  await target.query(`
    set local search_path to pg_catalog, public, pg_temp; set local lock_timeout to '5s'; set local statement_timeout to 0;
    set local idle_in_transaction_session_timeout to 0`);
  await takeTurn(target);
  // Read before anything is locked: the old database may be far away.
  for (const table of TABLES) await stage(table, source, target, keyring);
  const resumeTriggers = await quieten(target, [...TABLES.map((table) => table.target), ...OTHERS]);
  for (const table of TABLES) await settle(table, target);
  await resumeTriggers();
  for (const table of TABLES) {
    await restartIds(target, table.target, table.keepsIds ? `source_${table.name}` : undefined);
    if (table.numbers) await restartIds(target, table.numbers);
  }
  await target.query("set constraints all immediate");
  const reports: Partial<Record<TableName, TableReport>> = {};
  for (const table of TABLES) {
    const report = await reportOn(table.name, await source.count(table.name), target);
    await assertComplete(table, report, target);
    reports[table.name] = report;
  }
  return {
    dryRun,
    tables: reports as Record<TableName, TableReport>,
    readAsUtc: source.timesWithoutZone,
    notMoved: source.unknown,
  };
}

async function takeTurn(target: ClientBase): Promise<void> {
  const { rows } = await target.query<{ is_mine: boolean; is_migrated: boolean }>(
    `select pg_try_advisory_xact_lock(hashtextextended('import', 0)) as is_mine,
       to_regclass('app_private.imported_rows') is not null as is_migrated`,
  );
  if (!rows[0]?.is_mine) throw new ImportError("another import is under way.");
  if (!rows[0].is_migrated) {
    throw new ImportError("Howdah's database is not up to date. Run `npm run migrate` first.");
  }
}

/** No row is lost: each was moved, was here, or was skipped; and what was moved is really here. */
async function assertComplete(
  { name, target: into, keepsIds }: ImportTable,
  { rows, moved, present, skipped }: TableReport,
  target: ClientBase,
): Promise<void> {
  const { rows: found } = await target.query<{ count: string }>(
    `select count(*) from pg_temp.source_${name} s
     join ${into} t on t.id = ${keepsIds ? "s.id" : "s.session_id"}
     where s.state = 'moved'`,
  );
  const arrived = Number(found[0]?.count);
  if (moved + present + skipped !== rows || arrived !== moved) {
    throw new ImportError(
      `${name} do not add up (${rows} rows, ${moved} moved, ${arrived} arrived, ${present} present, ${skipped} skipped); nothing was changed.`,
    );
  }
}
