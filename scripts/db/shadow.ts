import { run } from "../../src/database/graphile-migrate.ts";
import { migrateDatabase } from "../../src/database/migrate.ts";
import { explain, refuseTransactions } from "../../src/development/current-migration.ts";
import {
  DatabaseCommandError,
  type Databases,
  databaseOf,
  recreateDatabase,
  silent,
} from "./databases.ts";

/** @throws MigrationFault where current.sql begins or ends a transaction */
export async function checkTransactions(databases: Databases, text: string): Promise<void> {
  try {
    refuseTransactions(text);
  } catch (error) {
    throw await explain(error, databases.settings, databases.url, text);
  }
}

/** The shadow database with all that is committed. */
export async function makeShadow(databases: Databases): Promise<void> {
  const { url, shadowUrl, rootUrl, authenticatorPassword } = databases;
  const owner = decodeURIComponent(new URL(url).username);
  await recreateDatabase(rootUrl, databaseOf(shadowUrl), owner);
  await migrateDatabase({ databaseUrl: shadowUrl, authenticatorPassword, logger: silent });
}

/** Runs current.sql there. @throws DatabaseCommandError with the line that fails, after `introduction` */
export async function runInShadow(
  { settings, shadowUrl }: Databases,
  text: string,
  introduction = "",
): Promise<void> {
  try {
    await run(settings, text, "current.sql", { shadow: true });
  } catch (error) {
    const fault = await explain(error, settings, shadowUrl, text);
    throw new DatabaseCommandError(`${introduction}${fault.message}`, { cause: error });
  }
}
