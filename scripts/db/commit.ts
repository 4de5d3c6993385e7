import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { FileMigration } from "graphile-migrate/dist/migration.js";
import type { Config } from "../../src/config.ts";
import { committedMigrations, readHistory, refuseAhead } from "../../src/database/committed.ts";
import { clearAllPools, commit as commitMigration } from "../../src/database/graphile-migrate.ts";
import { migrateDatabase } from "../../src/database/migrate.ts";
import { statementStarts, withoutComments } from "../../src/database/statements.ts";
import { inTurn } from "../../src/database/turns.ts";
import { breaks, isAnnounced, unannouncedBreak } from "../../src/development/breaking.ts";
import { createCatalogueCheck, describeFindings } from "../../src/development/catalogue.ts";
import { readCurrent, stageCurrent } from "../../src/development/current-file.ts";
import { explain } from "../../src/development/current-migration.ts";
import { unbuildable } from "../../src/development/report.ts";
import { writeSchemaFiles } from "../../src/development/schema-files.ts";
import { type Snapshot, takeSnapshot } from "../../src/development/snapshot.ts";
import {
  CURRENT,
  DatabaseCommandError,
  type Databases,
  ROOT,
  silent,
  withDatabases,
} from "./databases.ts";
import { checkTransactions, makeShadow, runInShadow } from "./shadow.ts";

/** `npm run db:commit -- "message"`: current.sql becomes the next file of migrations/committed. */
export async function commit(config: Config, args: string[]): Promise<void> {
  // Before a database is started for it.
  messageOf(await readCurrent(ROOT), args);
  await withDatabases(config, async (databases) => {
    const { url, settings, authenticatorPassword } = databases;
    await migrateDatabase({ databaseUrl: url, authenticatorPassword, logger: silent });
    // `npm run dev` sees the files change, and waits for its turn.
    await inTurn(url, async (client) => {
      const history = await readHistory(client, settings);
      refuseAhead(history);
      // Another commit may have emptied it meanwhile.
      const original = await readCurrent(ROOT);
      const message = messageOf(original, args);
      refuseTwice(original, history.committed.at(-1));
      const blank = settings.blankMigrationContent ?? "";
      // It is in the header that the file gets.
      const text = withoutHeader(original, blank).replace(/^--! Message: .+\n+/m, "");
      const after = await tryOut(databases, original, isAnnounced(text));
      await using staged = await stageCurrent(settings, text);
      try {
        await commitMigration(staged.settings, message);
      } catch (error) {
        throw await explain(error, settings, url, text);
      }
      const file = `migrations/committed/${(await committedMigrations(settings)).at(-1)?.realFilename}`;
      // graphile-migrate's is its owner's alone, whom the API in a container, or of another user, is not.
      await chmod(join(ROOT, file), 0o644);
      // What was saved meanwhile is no part of it, and stays.
      const isAsItWas = (await readCurrent(ROOT)) === original;
      if (isAsItWas) await writeFile(CURRENT, `${blank.trim()}\n`);
      const fault = await writeSchemaFiles(ROOT, after.schema);
      console.log(file);
      console.log(
        isAsItWas
          ? "migrations/current.sql is empty again, schema.graphql is written."
          : `migrations/current.sql was saved meanwhile, and stays: take out of it what ${file} has. schema.graphql is written.`,
      );
      if (fault !== undefined) console.error(fault);
    });
  });
}

/** @throws DatabaseCommandError where there is nothing to commit, or no message for it */
function messageOf(text: string, args: string[]): string {
  if (statementStarts(text).length === 0) {
    throw new DatabaseCommandError("migrations/current.sql is empty: there is nothing to commit.");
  }
  const [, kept] = /^--! Message: (.+)$/m.exec(text) ?? [];
  const message = args.join(" ").trim() || kept;
  if (message === undefined) {
    throw new DatabaseCommandError('Say what it does: npm run db:commit -- "notes"');
  }
  return message;
}

/** A commit that was killed has left its file, and the same text in current.sql. */
function refuseTwice(text: string, last: FileMigration | undefined): void {
  if (last === undefined || withoutComments(text) !== withoutComments(last.body)) return;
  throw new DatabaseCommandError(
    `migrations/committed/${last.realFilename} has all that is in migrations/current.sql already, as after a commit that was cut off: empty migrations/current.sql.`,
  );
}

/**
 * In the shadow database: does it run, does it run twice, does it break what it does not announce, have the rules
 * anything against it?
 */
async function tryOut(databases: Databases, text: string, mayBreak: boolean): Promise<Snapshot> {
  const { shadowUrl, shadowAuthenticatorUrl } = databases;
  await checkTransactions(databases, text);
  await makeShadow(databases);
  const before = await takeSnapshot(shadowAuthenticatorUrl);
  const judge = createCatalogueCheck(shadowUrl);
  await judge();
  await runInShadow(databases, text);
  await runInShadow(
    databases,
    text,
    "migrations/current.sql runs once, but not a second time, as it has to.\n",
  );
  clearAllPools();
  const after = await takeSnapshot(shadowAuthenticatorUrl).catch((error: Error) => {
    throw new DatabaseCommandError(unbuildable(error.message), { cause: error });
  });
  const found = await breaks(before, after);
  if (found.length > 0 && !mayBreak) {
    throw new DatabaseCommandError(unannouncedBreak("migrations/current.sql", found));
  }
  const { findings } = await judge();
  const told = describeFindings({ findings, mended: 0 });
  if (told !== undefined) {
    throw new DatabaseCommandError(
      `${told}\nmigrations/current.sql is not committed: \`npm run check\` would refuse it. Mend it, or say in the comment of the object why it is meant so (docs/rules/README.md, Silence).`,
    );
  }
  return after;
}

/** The lines that explain the file stay behind; what a developer has written goes. */
function withoutHeader(text: string, header: string): string {
  const explaining = new Set(header.split("\n").filter((line) => line !== ""));
  const lines = text.split("\n");
  const kept = lines.findIndex((line) => !explaining.has(line) && line.trim() !== "");
  return `${lines.slice(kept).join("\n").trim()}\n`;
}
