import { existsSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { loadConfig } from "../../src/config.ts";
import { openConnections } from "../../src/database/connections.ts";
import { NewError } from "./names.ts";

const TAKEN = `
select 1 from pg_class c where c.relnamespace = $1::regnamespace and c.relname = $2
union all
select 1 from pg_type t where t.typnamespace = $1::regnamespace and t.typname = $2
union all
select 1 from pg_proc p where p.pronamespace = $1::regnamespace and p.proname = $2`;

/**
 * Refuses what the database has, however it came to it: what is made here begins by dropping what has
 * its name. Where there is no database yet, or none that answers, the files alone tell.
 * @param object such as `app_public.boats`
 * @throws {NewError}
 */
export async function checkFreeInDatabase(object: string): Promise<void> {
  const config = loadConfig("howdah", process.env);
  const isThere = config.databaseUrl ?? existsSync(join(config.dataDirectory, "secrets"));
  if (!isThere) return;
  const connections = await openConnections(config).catch(() => undefined);
  try {
    const url = connections?.ownerUrl;
    if (url !== undefined && (await isTaken(url, object))) {
      throw new NewError(
        `${object} exists already, in the database: take it away there first, or choose another name.`,
      );
    }
  } finally {
    await connections?.stop();
  }
}

async function isTaken(connectionString: string, object: string): Promise<boolean> {
  const client = new pg.Client({ connectionString });
  client.on("error", () => {});
  try {
    await client.connect();
    return (await client.query(TAKEN, object.split("."))).rowCount !== 0;
  } catch (error) {
    // It is away, or not migrated: it has no such thing.
    if (error instanceof pg.DatabaseError && error.code !== "3F000") throw error;
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
