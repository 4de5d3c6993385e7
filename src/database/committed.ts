import { join, relative } from "node:path";
import type { Settings as MigrateSettings } from "graphile-migrate";
import type { FileMigration } from "graphile-migrate/dist/migration.js";
import type pg from "pg";
import { calculateHash, getAllMigrations, parseSettings } from "./graphile-migrate.ts";

/** History does not agree with what was committed or run: says which file, and what to do. */
export class HistoryError extends Error {
  override name = "HistoryError";
}

/** The committed migrations in their order. @throws HistoryError where one was edited */
export async function committedMigrations(settings: MigrateSettings): Promise<FileMigration[]> {
  const parsed = await parseSettings(settings);
  let migrations: FileMigration[];
  try {
    migrations = await getAllMigrations(parsed);
  } catch (cause) {
    // Numbers twice, a hash that leads nowhere: what two branches make of each other.
    throw new HistoryError(
      `${(cause as Error).message}. Two branches may have committed at once: \`npm run db:uncommit\` the younger one, and commit it again.`,
      { cause },
    );
  }
  for (const migration of migrations) {
    const { hash, previousHash, body, allowInvalidHash, fullPath } = migration;
    if (allowInvalidHash || calculateHash(body, previousHash) === hash) continue;
    throw new HistoryError(edited(settings, fullPath));
  }
  return migrations;
}

export interface History {
  committed: FileMigration[];
  /** File names, as far as they are committed and not run yet. */
  pending: string[];
  /** Numbers that the database has run beyond the last file: of another branch or a later release. */
  ahead: string[];
}

/** @throws HistoryError where the database has run other files than these */
export async function readHistory(
  client: pg.ClientBase,
  settings: MigrateSettings,
): Promise<History> {
  const committed = await committedMigrations(settings);
  const { rows: known } = await client.query(
    "select to_regclass('graphile_migrate.migrations') is not null as yes",
  );
  const { rows } = known[0]?.yes
    ? await client.query<{ filename: string; hash: string }>(
        "select filename, hash from graphile_migrate.migrations order by filename",
      )
    : { rows: [] };
  const files = new Map(committed.map((migration) => [migration.filename, migration]));
  const last = committed.at(-1)?.filename ?? "";
  for (const { filename, hash } of rows) {
    const file = files.get(filename);
    if (file && file.hash !== hash) throw new HistoryError(edited(settings, file.fullPath));
    if (file || filename > last) continue;
    throw new HistoryError(
      `The database has run migration ${filename}, which is not in migrations/committed: get it back (git), or make the database anew with \`npm run db:reset\`.`,
    );
  }
  const newest = rows.at(-1)?.filename ?? "";
  return {
    committed,
    pending: committed
      .filter(({ filename }) => filename > newest)
      .map(({ realFilename }) => realFilename),
    ahead: rows.map(({ filename }) => filename).filter((filename) => filename > last),
  };
}

/**
 * For development: what is written now would become the number of a migration that has been run.
 * @throws HistoryError where the database has run more than there are files
 */
export function refuseAhead({ ahead }: History): void {
  if (ahead.length === 0) return;
  throw new HistoryError(
    `The database has run ${ahead.join(", ")}, and migrations/committed has no such file here: go back to the branch that has, or make the database anew with \`npm run db:reset\`.`,
  );
}

function edited(settings: MigrateSettings, path: string): string {
  const root = join(settings.migrationsFolder ?? "migrations", "..");
  const file = relative(root, path);
  return `${file} is not what was committed: somebody has edited it. Take that back (git checkout -- ${file}, where git has it), and write the change into migrations/current.sql.`;
}
