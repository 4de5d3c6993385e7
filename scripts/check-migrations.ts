import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pino } from "pino";
import { committedMigrations } from "../src/database/committed.ts";
import { clearAllPools, migrate } from "../src/database/graphile-migrate.ts";
import { migrateDatabase, migrateSettings } from "../src/database/migrate.ts";
import { breaks, isAnnounced, unannouncedBreak } from "../src/development/breaking.ts";
import { type Snapshot, takeSnapshot } from "../src/development/snapshot.ts";

const ROOT = resolve(import.meta.dirname, "..");
const silent = pino({ level: "silent" });

export interface CheckOptions {
  /** Of an empty database that is to be thrown away. */
  ownerUrl: string;
  authenticatorUrl: string;
  authenticatorPassword: string;
  /** The last migration that is not judged, as its file is named: those before the rule, or the last release. */
  after: string;
  migrationsFolder?: string;
}

/** One by one in an empty database: which committed migrations break something and do not say so? */
export async function unannouncedBreaks(options: CheckOptions): Promise<string[]> {
  const { ownerUrl, authenticatorUrl, authenticatorPassword } = options;
  const source = options.migrationsFolder ?? join(ROOT, "migrations");
  const settings = await migrateSettings(ownerUrl, silent);
  const all = await committedMigrations({ ...settings, migrationsFolder: source });
  const folder = await mkdtemp(join(tmpdir(), "howdah-migrations-"));
  const staged = { ...settings, migrationsFolder: folder };
  const stage = (file: string) => copyFile(join(source, file), join(folder, file));
  const found: string[] = [];
  try {
    await mkdir(join(folder, "committed"));
    await stage("roles.sql");
    const last = all.findIndex(({ realFilename }) => realFilename === options.after);
    if (last === -1) throw new Error(`migrations/committed/${options.after} is not there.`);
    const old = all.slice(0, last + 1);
    for (const { realFilename } of old) await stage(`committed/${realFilename}`);
    await migrateDatabase({
      databaseUrl: ownerUrl,
      authenticatorPassword,
      logger: silent,
      migrationsFolder: folder,
    });
    let before: Snapshot | undefined;
    for (const { realFilename, body } of all.slice(old.length)) {
      before ??= await takeSnapshot(authenticatorUrl);
      await stage(`committed/${realFilename}`);
      await migrate(staged);
      clearAllPools();
      const after = await takeSnapshot(authenticatorUrl);
      const broken = isAnnounced(body) ? [] : await breaks(before, after);
      if (broken.length > 0) {
        found.push(unannouncedBreak(`migrations/committed/${realFilename}`, broken));
      }
      before = after;
    }
    return found;
  } finally {
    clearAllPools();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Those up to this one have been judged. */
export const LAST_OLD_MIGRATION = "000062-operators-and-accounts.sql";
