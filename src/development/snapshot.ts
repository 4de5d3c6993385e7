import pg from "pg";
import { makeSchema } from "postgraphile";
import { createService, SCHEMA_PRESET } from "../graphql/schema-preset.ts";
import { schemaText } from "../graphql/schema-text.ts";
import { needsOfApi } from "./needs.ts";

/** What a database offers: the API to its clients, the catalogue to the API. */
export interface Snapshot {
  /** As schema.graphql has it. */
  schema: string;
  /** See needsOfApi(). */
  needs: string[];
}

/** @param authenticatorUrl of the API's role, whose rights shape the schema */
export async function takeSnapshot(authenticatorUrl: string): Promise<Snapshot> {
  const pool = new pg.Pool({ connectionString: authenticatorUrl, max: 2 });
  pool.on("error", () => {});
  const service = createService(pool);
  try {
    const { schema } = await makeSchema({ extends: [SCHEMA_PRESET], pgServices: [service] });
    return { schema: schemaText(schema), needs: await needsOfApi(pool) };
  } finally {
    await service.release?.();
    await pool.end();
  }
}
