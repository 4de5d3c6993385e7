import type pg from "pg";
import { ImportError } from "./faults.ts";
import { type ImportTable, type Kind, TABLE_NAMES } from "./table.ts";

/** Asks the source; its errors are in words already. */
export type Query = <T extends pg.QueryResultRow>(
  text: string,
  values?: unknown[],
) => Promise<pg.QueryResult<T>>;

/** A column of the old database. */
export interface Column {
  table: string;
  name: string;
  type: string;
  /** pg_type.typcategory. */
  category: string;
}

/** Those of the template's tables, as far as they are there. */
export async function readColumns(query: Query): Promise<Column[]> {
  const { rows } = await query<Column>(
    `select t.name as table, a.attname as name, format_type(a.atttypid, null) as type,
       y.typcategory as category
     from unnest($1::text[]) as t(name)
     join pg_attribute a on a.attrelid = to_regclass(t.name) and a.attnum > 0
     join pg_type y on y.oid = a.atttypid
     where not a.attisdropped
     order by a.attrelid, a.attnum`,
    [TABLE_NAMES],
  );
  return rows;
}

const FITS: Readonly<Record<Kind, (column: Column) => boolean>> = {
  int: ({ type }) => ["integer", "smallint"].includes(type),
  ints: ({ type }) => ["integer[]", "smallint[]"].includes(type),
  text: ({ category }) => category === "S" || category === "E",
  boolean: ({ type }) => type === "boolean",
  time: ({ category }) => category === "D",
  deadline: ({ category }) => category === "D",
  json: ({ type, category }) => ["json", "jsonb"].includes(type) || category === "S",
};

/** The columns that are read, with what they hold. */
export function allColumns(table: ImportTable): Record<string, Kind> {
  return { id: "int", ...table.columns, created_at: "time" };
}

/** @throws {ImportError} that names all that is missing. */
export function assertTemplate(tables: readonly ImportTable[], columns: Column[]): void {
  const faults: string[] = [];
  for (const table of tables) {
    const found = columns.filter((column) => column.table === table.name);
    if (found.length === 0) faults.push(`there is no table ${table.name}`);
    else {
      for (const [name, kind] of Object.entries(allColumns(table))) {
        const column = found.find((candidate) => candidate.name === name);
        if (!column) faults.push(`${table.name}.${name} is missing`);
        else if (!FITS[kind](column)) faults.push(`${table.name}.${name} is ${column.type}`);
      }
    }
  }
  if (faults.length > 0) {
    throw new ImportError(`this is not the template's database: ${faults.join(", ")}.`);
  }
}

/** The columns that are read, as they are in this database. */
export function known(tables: readonly ImportTable[], columns: Column[]) {
  return columns
    .filter(({ table, name }) => {
      const own = tables.find((candidate) => candidate.name === table);
      return own !== undefined && name in allColumns(own);
    })
    .map(({ table, name, type }) => ({ place: `${table}.${name}`, type }));
}

/** Howdah makes its own links: those of the template are not even read. */
const NEVER_READ = "users.reset_token";

/** Tables and columns that the template does not have. */
export async function unknownPlaces(
  tables: readonly ImportTable[],
  columns: Column[],
  query: Query,
) {
  const places = new Set([NEVER_READ, ...known(tables, columns).map(({ place }) => place)]);
  const { rows } = await query<{ name: string }>(
    `select c.relname as name from pg_class c
     where c.relkind in ('r', 'p') and not c.relispartition
       and c.relnamespace = (
         select n.relnamespace from pg_class n where n.oid = to_regclass('users')
       )
       and c.relname <> all ($1) and c.relname <> 'alembic_version'
     order by 1`,
    [TABLE_NAMES],
  );
  return [
    ...rows.map(({ name }) => name),
    ...columns.map(({ table, name }) => `${table}.${name}`).filter((place) => !places.has(place)),
  ];
}
