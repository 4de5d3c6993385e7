import { writeFile } from "node:fs/promises";
import type { Config } from "../../src/config.ts";
import { readHistory, refuseAhead } from "../../src/database/committed.ts";
import {
  clearAllPools,
  uncommit as uncommitMigration,
} from "../../src/database/graphile-migrate.ts";
import { statementStarts } from "../../src/database/statements.ts";
import { inTurn } from "../../src/database/turns.ts";
import { readCurrent } from "../../src/development/current-file.ts";
import { writeSchemaFiles } from "../../src/development/schema-files.ts";
import { takeSnapshot } from "../../src/development/snapshot.ts";
import { CURRENT, DatabaseCommandError, ROOT, withDatabases } from "./databases.ts";

/** `--! no-transaction` counts as the very first line only, and the message has been put there. */
async function markerFirst(): Promise<void> {
  const [, message, marker, rest] =
    /^(--! Message: .+\n)\n*(--! no-transaction\b.*\n)([\s\S]*)$/.exec(await readCurrent(ROOT)) ??
    [];
  if (message) await writeFile(CURRENT, `${marker}${message}${rest}`);
}

/** `npm run db:uncommit`: the last committed file becomes current.sql again. */
export async function uncommit(config: Config): Promise<void> {
  await withDatabases(config, async ({ url, settings, shadowAuthenticatorUrl }) => {
    await inTurn(url, async (client) => {
      const history = await readHistory(client, settings);
      refuseAhead(history);
      const last = history.committed.at(-1);
      if (!last) throw new DatabaseCommandError("Nothing is committed.");
      // In our turn: a commit may have emptied it just now.
      if (statementStarts(await readCurrent(ROOT)).length > 0) {
        throw new DatabaseCommandError(
          "migrations/current.sql is not empty, and the last migration would have to go there: commit it first, or put it aside.",
        );
      }
      await uncommitMigration(settings);
      clearAllPools();
      await markerFirst();
      await writeSchemaFiles(ROOT, (await takeSnapshot(shadowAuthenticatorUrl)).schema);
      console.log(`migrations/committed/${last.realFilename} is migrations/current.sql again.`);
      console.log("Only if nobody else has run it: elsewhere it counts as done.");
    });
  });
}
