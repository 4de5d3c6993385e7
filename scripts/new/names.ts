import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** What cannot be made, and why: one line, for the person at the keyboard. */
export class NewError extends Error {
  override name = "NewError";
}

/** Room is left for what is made of it, such as `<name>_created_at_idx`: PostgreSQL cuts at 63. */
const MAX_LENGTH = 40;

// What PostgreSQL 18 takes for no name without quotes: pg_get_keywords(), R and T, then C.
const RESERVED = new Set(
  `all analyse analyze and any array as asc asymmetric both case cast check collate column constraint
  create current_catalog current_date current_role current_time current_timestamp current_user default
  deferrable desc distinct do else end except false fetch for foreign from grant group having in initially
  intersect into lateral leading limit localtime localtimestamp not null offset on only or order placing
  primary references returning select session_user some symmetric system_user table then to trailing true
  union unique user using variadic when where window with
  authorization binary collation concurrently cross current_schema freeze full ilike inner is isnull join
  left like natural notnull outer overlaps right similar tablesample verbose
  between bigint bit boolean char character coalesce dec decimal exists extract float greatest grouping
  inout int integer interval json json_array json_arrayagg json_exists json_object json_objectagg
  json_query json_scalar json_serialize json_table json_value least merge_action national nchar none
  normalize nullif numeric out overlay position precision real row setof smallint substring time timestamp
  treat trim values varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse
  xmlpi xmlroot xmlserialize xmltable`.split(/\s+/),
);

/** @throws {NewError} */
export function checkName(name: string | undefined, what: string): string {
  if (name === undefined) throw new NewError(`Which ${what}? Give its name.`);
  if (!/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(name)) {
    throw new NewError(
      `"${name}" is no name for a ${what}: write it in lower case, words joined by _, such as shopping_lists.`,
    );
  }
  if (name.length > MAX_LENGTH) {
    throw new NewError(`"${name}" is too long for a ${what}: ${MAX_LENGTH} characters at most.`);
  }
  if (RESERVED.has(name)) {
    throw new NewError(`"${name}" is a word of SQL: choose another name for the ${what}.`);
  }
  return name;
}

/**
 * Refuses what a migration makes already, as a table, view, type or function.
 * @throws {NewError}
 */
export async function checkFree(root: string, object: string): Promise<void> {
  const folder = join(root, "migrations");
  const committed = (await readdir(join(folder, "committed"))).sort();
  const name = object.replace(/^.*\./, "");
  const made = new RegExp(
    `\\balter\\s+(table|view|function|type|domain)\\s[^;]*\\srename\\s+to\\s+${name}(?!\\w)|\\bcreate\\s+(or\\s+replace\\s+)?(unlogged\\s+|materialized\\s+)?(table|view|function|procedure|type|domain)\\s+(if\\s+not\\s+exists\\s+)?${object.replace(".", "\\s*\\.\\s*")}(?!\\w)`,
    "i",
  );
  for (const file of ["current.sql", ...committed.map((name) => `committed/${name}`)]) {
    const sql = await readFile(join(folder, file), "utf8").catch(() => "");
    // A name in quotes is the same name.
    if (made.test(sql.replace(/--.*$/gm, "").replace(/"([a-z0-9_]+)"/g, "$1"))) {
      throw new NewError(`${object} exists already: migrations/${file}.`);
    }
  }
}

/** As words: `is_done` is "is done". */
export function wordsOf(name: string): string {
  return name.replaceAll("_", " ");
}

export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
