import { readFile } from "node:fs/promises";
import type { Config } from "../../src/config.ts";
import { readHistory } from "../../src/database/committed.ts";
import {
  clearAllPools,
  uncommit as uncommitMigration,
} from "../../src/database/graphile-migrate.ts";
import { statementStarts } from "../../src/database/statements.ts";
import { inTurn } from "../../src/database/turns.ts";
import { writeSchemaFiles } from "../../src/development/schema-files.ts";
import { takeSnapshot } from "../../src/development/snapshot.ts";
import { CURRENT, DatabaseCommandError, ROOT, withDatabases } from "./databases.ts";

/** `npm run db:uncommit`: the last committed file becomes current.sql again. */
export async function uncommit(config: Config): Promise<void> {
  if (statementStarts(await readFile(CURRENT, "utf8").catch(() => "")).length > 0) {
    throw new DatabaseCommandError(
      "migrations/current.sql is not empty, and the last migration would have to go there: commit it first, or put it aside.",
    );
  }
  await withDatabases(config, async ({ url, settings, shadowAuthenticatorUrl }) => {
    await inTurn(url, async (client) => {
      const last = (await readHistory(client, settings)).committed.at(-1);
      if (!last) throw new DatabaseCommandError("Nothing is committed.");
      await uncommitMigration(settings);
      clearAllPools();
      await writeSchemaFiles(ROOT, (await takeSnapshot(shadowAuthenticatorUrl)).schema);
      console.log(`migrations/committed/${last.realFilename} is migrations/current.sql again.`);
      console.log("Only if nobody else has run it: elsewhere it counts as done.");
    });
  });
}
