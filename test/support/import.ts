import { randomBytes } from "node:crypto";
import pg from "pg";
import { PROVIDER_TOKENS } from "../../src/auth/provider-tokens.ts";
import { createKeyring } from "../../src/auth/sealing.ts";
import { importFastapi } from "../../src/import/import.ts";
import type { ImportReport } from "../../src/import/report.ts";
import type { TestDatabase } from "./database.ts";

export const CREDENTIALS_KEY = randomBytes(32).toString("base64");
export const keyring = createKeyring([CREDENTIALS_KEY], PROVIDER_TOKENS);

/** Imports on a connection of its own, as the command does. */
export async function importFrom(
  from: string,
  database: TestDatabase,
  dryRun = false,
): Promise<ImportReport> {
  const target = new pg.Client({ connectionString: database.ownerUrl });
  await target.connect();
  try {
    return await importFastapi({ from, target, keyring, dryRun });
  } finally {
    await target.end();
  }
}

/** All rows of the tables that an import writes to, and where their ids go on. */
export async function everything(database: TestDatabase): Promise<unknown> {
  const tables = [
    "app_public.users",
    "app_public.sessions",
    "app_public.device_tokens",
    "app_public.notifications",
    "app_public.notification_recipients",
    "app_public.oauth2_credentials",
    "app_public.items",
    "app_private.user_secrets",
    "app_private.user_tokens",
    "app_private.refresh_tokens",
    "app_private.oauth2_tokens",
    "app_private.imported_rows",
    "graphile_worker.jobs",
  ];
  const found: Record<string, unknown> = {};
  for (const table of tables) {
    const { rows } = await database.owner.query(
      `select count(*), md5(string_agg(t::text, '|' order by t::text)) from ${table} t`,
    );
    found[table] = rows[0];
  }
  const { rows } = await database.owner.query(
    "select sequencename, last_value from pg_sequences where schemaname like 'app%' order by 1",
  );
  return { ...found, sequences: rows };
}
