import { createHash } from "node:crypto";
import type { ClientBase } from "pg";
import type { Keyring } from "../auth/sealing.ts";
import type { Source } from "./source.ts";
import { bytea, type ImportTable, type SourceRow, type StagedRow } from "./table.ts";

/** Copies a table of the source into a temporary one of the target, some rows at a time. */
export async function stage(
  table: ImportTable,
  source: Source,
  target: ClientBase,
  keyring: Keyring,
): Promise<void> {
  const columns = { id: "int", created_at: "timestamptz", digest: "bytea", ...table.staged };
  const definitions = Object.entries(columns).map(([name, type]) => `${name} ${type}`);
  await target.query(`
    create temporary table source_${table.name} (
      ${definitions.join(", ")}, notes text[] not null, state text, reason text, primary key (id)
    ) on commit drop`);
  const names = [...Object.keys(columns), "notes"].join(", ");
  for await (const rows of source.read(table)) {
    const staged = rows.map((row) => stagedRow(table, row, keyring));
    await target.query(
      `insert into pg_temp.source_${table.name} (${names})
       select ${names} from json_populate_recordset(null::pg_temp.source_${table.name}, $1)`,
      [JSON.stringify(staged)],
    );
  }
  await target.query(`analyze pg_temp.source_${table.name}`);
}

function stagedRow(table: ImportTable, row: SourceRow, keyring: Keyring): StagedRow {
  return {
    ...(table.stage?.(row, keyring) ?? row),
    notes: row.created_at === null ? ["created_at_missing"] : [],
    id: row.id,
    created_at: row.created_at ?? null,
    digest: bytea(createHash("sha256").update(JSON.stringify(row)).digest()),
  };
}
