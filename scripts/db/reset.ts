import { utimes } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import pg from "pg";
import type { Config } from "../../src/config.ts";
import { committedMigrations } from "../../src/database/committed.ts";
import { clearAllPools } from "../../src/database/graphile-migrate.ts";
import { migrateDatabase } from "../../src/database/migrate.ts";
import { statementStarts } from "../../src/database/statements.ts";
import { inTurn } from "../../src/database/turns.ts";
import { readCurrent } from "../../src/development/current-file.ts";
import {
  CURRENT,
  DatabaseCommandError,
  type Databases,
  ROOT,
  recreateDatabase,
  silent,
  withDatabases,
} from "./databases.ts";
import { checkTransactions, makeShadow, runInShadow } from "./shadow.ts";

const USAGE = "npm run db:reset -- [--yes] [--force-production DATABASE]";

/** `npm run db:reset`: drops the database, makes it anew, and migrates it, current.sql included. */
export async function reset(config: Config, args: string[]): Promise<void> {
  const options = parseOptions(args);
  await withDatabases(config, async (databases) => {
    const { url, name, where, rootUrl, settings, authenticatorPassword } = databases;
    if (config.production && options["force-production"] !== name) {
      throw new DatabaseCommandError(
        `NODE_ENV is production: this would drop ${where} with all that is in it. Nothing was done. Who means it says --force-production ${name}.`,
      );
    }
    // Before anything is dropped: files that could not make it anew are told now.
    await committedMigrations(settings);
    if (!config.production) await tryCurrent(databases);
    const content = await describeContent(url);
    console.log(`This drops the database ${where}: ${content.text}.`);
    if (!options.yes && !config.production) await confirm(name);
    const owner = decodeURIComponent(new URL(url).username);
    const recreate = () => recreateDatabase(rootUrl, name, owner);
    // Who migrates at this moment ends it first. There may be no database any more.
    await (content.exists ? inTurn(url, recreate) : recreate());
    await migrateDatabase({
      databaseUrl: url,
      authenticatorPassword,
      logger: silent,
      current: !config.production,
    });
    if (content.isInUse && !config.production) await tellRunning();
    console.log(`${where} is new, and has run all migrations.`);
    if (content.isInUse) {
      console.log(
        "`npm run dev` goes on with it; what else was connected has to be started again.",
      );
    }
  });
}

/** Runs current.sql in the shadow database: what fails there would leave the new database without it. */
async function tryCurrent(databases: Databases): Promise<void> {
  const text = await readCurrent(ROOT);
  if (statementStarts(text).length === 0) return;
  await checkTransactions(databases, text);
  await makeShadow(databases);
  await runInShadow(databases, text, "Nothing was done: migrations/current.sql does not run.\n");
  clearAllPools();
}

function parseOptions(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        yes: { type: "boolean", default: false },
        "force-production": { type: "string" },
      },
    });
    return values;
  } catch (error) {
    throw new DatabaseCommandError(`${(error as Error).message.split("\n", 1)[0]} ${USAGE}`);
  }
}

async function describeContent(url: string) {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ size: string; rows: string; others: string }>(
      `select pg_size_pretty(pg_database_size(current_database())) as size,
         (select count(*) from pg_stat_activity
          where datname = current_database() and application_name like 'howdah %') as others`,
    );
    const users = await client
      .query<{ count: string }>("select count(*) from app_public.users")
      .then(({ rows: [row] }) => `, ${row?.count} users`)
      .catch(() => "");
    const { size, others } = rows[0] ?? { size: "", others: "0" };
    const isInUse = Number(others) > 0;
    const inUse = isInUse ? "; an API or a worker is connected" : "";
    return { exists: true, isInUse, text: `${size}${users}${inUse}` };
  } catch (error) {
    if ((error as { code?: string }).code !== "3D000") throw error;
    return { exists: false, isInUse: false, text: "it is not there" };
  } finally {
    await client.end().catch(() => {});
  }
}

async function confirm(name: string): Promise<void> {
  if (!process.stdin.isTTY) throw new DatabaseCommandError("Nothing was done: say --yes.");
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`Type ${name} to go on: `);
  terminal.close();
  if (answer.trim() !== name) throw new DatabaseCommandError("Nothing was done.");
}

/** `npm run dev` looks at the database again, and begins as on its first run. */
async function tellRunning(): Promise<void> {
  const now = new Date();
  await utimes(CURRENT, now, now);
}
