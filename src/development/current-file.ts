import { isUtf8 } from "node:buffer";
import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Settings as MigrateSettings } from "graphile-migrate";
import { describeSqlFault } from "./sql-fault.ts";

/** Below the root, and for the reader. */
export const CURRENT_PATH = "migrations/current.sql";

/** Why the schema of the database did not change: text for the terminal. */
export class MigrationFault extends Error {
  override name = "MigrationFault";
}

/** What is in it now; nothing where it is not there. @throws MigrationFault where it is not UTF-8 */
export async function readCurrent(root: string): Promise<string> {
  const bytes = await readFile(join(root, CURRENT_PATH)).catch((error) => {
    if (error.code !== "ENOENT") throw error;
    return Buffer.alloc(0);
  });
  const text = bytes.toString("utf8");
  if (isUtf8(bytes)) return text;
  const fault = {
    message: "the file is not UTF-8: save it as that",
    offset: text.indexOf("\uFFFD"),
  };
  const source = { path: CURRENT_PATH, text, placeholders: {} };
  throw new MigrationFault(await describeSqlFault(fault, source, ""));
}

/** Makes it, where it is not there: with no statement in it. */
export async function makeCurrent(root: string, blank: string): Promise<void> {
  await writeFile(join(root, CURRENT_PATH), `${blank.trim()}\n`, { flag: "wx" }).catch((error) => {
    if (error.code !== "EEXIST") throw error;
  });
}

/**
 * A folder with the committed migrations and this text as its current.sql: what graphile-migrate runs is
 * what we have read, and what it writes there takes nothing from who saves meanwhile.
 */
export async function stageCurrent(
  settings: MigrateSettings & { migrationsFolder: string },
  text: string,
): Promise<AsyncDisposable & { settings: MigrateSettings }> {
  const source = settings.migrationsFolder;
  const folder = await mkdtemp(join(tmpdir(), "howdah-migrations-"));
  await symlink(join(source, "committed"), join(folder, "committed"), "junction");
  await copyFile(join(source, "roles.sql"), join(folder, "roles.sql"));
  await writeFile(join(folder, "current.sql"), text);
  return {
    settings: { ...settings, migrationsFolder: folder },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}
