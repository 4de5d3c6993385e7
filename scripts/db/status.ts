import { readFile } from "node:fs/promises";
import type pg from "pg";
import type { Config } from "../../src/config.ts";
import { readHistory } from "../../src/database/committed.ts";
import { statementStarts } from "../../src/database/statements.ts";
import { inTurn } from "../../src/database/turns.ts";
import { compile } from "../../src/development/current-migration.ts";
import { CURRENT, withDatabases } from "./databases.ts";

/** `npm run db:status`: what is committed, what of it the database has run, and what is in current.sql. */
export async function status(config: Config): Promise<void> {
  await withDatabases(config, async ({ url, where, settings }) => {
    await inTurn(url, async (client) => {
      const { committed, pending, ahead } = await readHistory(client, settings);
      const last = committed.at(-1)?.realFilename;
      const lines: [string, string][] = [
        ["Database", where],
        [
          "Committed",
          committed.length === 0 ? "nothing" : `${committed.length}, the last is ${last}`,
        ],
        ["To be run", pending.length === 0 ? "nothing" : `${listed(pending)}: npm run migrate`],
      ];
      if (ahead.length > 0) {
        lines.push(["Beyond it", `${ahead.join(", ")}: run here, but not in migrations/committed`]);
      }
      const missing = await missingSchemas(client);
      if (committed.length > pending.length && missing.length > 0) {
        lines.push([
          "Missing",
          `${missing.join(", ")}, which Howdah itself uses: npm run db:reset (it deletes all data)`,
        ]);
      }
      const text = await readFile(CURRENT, "utf8").catch(() => "");
      const statements = statementStarts(text).length;
      const run = await client
        .query<{ content: string }>("select content from graphile_migrate.current")
        .catch(() => ({ rows: [] }));
      const isRun = run.rows[0]?.content === compile(text, settings, url);
      const count = `${statements} ${statements === 1 ? "statement" : "statements"}`;
      lines.push([
        "current.sql",
        statements === 0
          ? "empty"
          : `${count}, ${isRun ? "run here as it is" : "not run here as it is now"}`,
      ]);
      for (const [name, value] of lines) console.log(`${name.padEnd(12)} ${value}`);
    });
  });
}

async function missingSchemas(client: Pick<pg.Client, "query">): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select s.name from unnest($1::text[]) as s(name) where to_regnamespace(s.name) is null`,
    [["app_public", "app_private", "app_hidden", "app_audiences", "graphile_worker"]],
  );
  return rows.map(({ name }) => name);
}

function listed(files: readonly string[]): string {
  if (files.length <= 3) return files.join(", ");
  return `${files.length}, from ${files[0]} on`;
}
