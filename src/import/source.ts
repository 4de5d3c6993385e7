import pg from "pg";
import { ImportError, sourceFault } from "./faults.ts";
import type { ImportTable, Kind, SourceRow, TableName } from "./table.ts";
import {
  allColumns,
  assertTemplate,
  known,
  type Query,
  readColumns,
  unknownPlaces,
} from "./template.ts";

/** The template's database, in one read-only snapshot. */
export interface Source {
  count(table: TableName): Promise<number>;
  /** All rows of a table, some at a time: each batch is read while the one before is used. */
  read(table: ImportTable): AsyncGenerator<SourceRow[]>;
  /** Columns of the template that hold times without a zone. */
  timesWithoutZone: string[];
  /** Tables and columns that the template does not have: they are not moved. */
  unknown: string[];
  close(): Promise<void>;
}

/** Text longer than this is cut when it is read, and its row is skipped or the value left out. */
export const MAX_TEXT = 100_000;
/** JSON of more bytes is not read. */
export const MAX_JSON = 262_144;

/**
 * Connects to the template's database and makes sure that it is one.
 * @throws {ImportError} that says what is wrong, without the URL.
 */
export async function openSource(url: string, tables: readonly ImportTable[]): Promise<Source> {
  const { connectionString, server } = parseUrl(url);
  const client = new pg.Client({
    connectionString,
    application_name: "howdah import",
    connectionTimeoutMillis: 10_000,
  });
  client.on("error", () => {
    // The query that is under way fails and says so.
  });
  const query = async <T extends pg.QueryResultRow>(text: string, values?: unknown[]) => {
    try {
      return await client.query<T>(text, values);
    } catch (error) {
      throw sourceFault(error, server);
    }
  };
  try {
    await client.connect();
  } catch (error) {
    // A server that waits for a password would hold up others who make or drop databases.
    client.end().catch(() => {});
    throw sourceFault(error, server);
  }
  try {
    // Whoever may not see every row is to hear of it; times without a zone are read as UTC.
    await query(`begin isolation level repeatable read, read only`);
    await query(`
      set local time zone 'UTC'; set local datestyle to iso; set local row_security to off;
      set local statement_timeout to 0; set local idle_in_transaction_session_timeout to 0`);
    const columns = await readColumns(query);
    assertTemplate(tables, columns);
    return {
      async count(table) {
        const { rows } = await query<{ count: string }>(`select count(*) from ${table}`);
        return Number(rows[0]?.count);
      },
      read: (table) => read(table, query),
      timesWithoutZone: known(tables, columns)
        .filter(({ type }) => type.startsWith("timestamp") && type.endsWith("without time zone"))
        .map(({ place }) => place),
      unknown: await unknownPlaces(tables, columns, query),
      close: () => client.end(),
    };
  } catch (error) {
    await client.end();
    throw error;
  }
}

/** SQLAlchemy's URLs name a driver, such as postgresql+asyncpg. */
function parseUrl(url: string): { connectionString: string; server: string } {
  const connectionString = url.replace(/^(postgres(?:ql)?)\+[a-z0-9]+:/, "$1:");
  if (!/^postgres(ql)?:\/\//.test(connectionString) || !URL.canParse(connectionString)) {
    throw new ImportError("--from must be a URL like postgres://user:password@host:5432/database.");
  }
  return { connectionString, server: new URL(connectionString).host || "its socket" };
}

const READ: Readonly<Record<Kind, (name: string) => string>> = {
  int: (name) => `${name}::text`,
  ints: (name) => `${name}::text`,
  text: (name) => `left(${name}::text, ${MAX_TEXT + 1})`,
  boolean: (name) => name,
  time: (name) => `case when isfinite(${name}) then ${name}::timestamptz::text end`,
  deadline: (name) => `${name}::timestamptz::text`,
  // Too long to be kept: read as what is no JSON and says why.
  json: (name) =>
    `case when octet_length(${name}::text) > ${MAX_JSON} then 'too long' else ${name}::text end`,
};

async function* read(table: ImportTable, query: Query): AsyncGenerator<SourceRow[]> {
  const expressions = Object.entries(allColumns(table)).map(
    ([name, kind]) => `${READ[kind](name)} as ${name}`,
  );
  await query(
    `declare source_rows no scroll cursor for select ${expressions.join(", ")} from ${table.name}`,
  );
  const fetch = () => query<SourceRow>(`fetch ${table.batchSize} from source_rows`);
  let next = fetch();
  for (;;) {
    const { rows } = await next;
    if (rows.length === 0) break;
    next = fetch();
    // Whoever stops here has an error of their own to tell.
    next.catch(() => {});
    yield rows;
  }
  await query("close source_rows");
}
