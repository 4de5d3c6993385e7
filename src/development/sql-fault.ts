import pg from "pg";
import { isNoTransactionDefined } from "../database/graphile-migrate.ts";
import { statementStarts } from "../database/statements.ts";
import { hintFor } from "./sql-hints.ts";

/** A text with placeholders such as :DATABASE_USER, as it is in the file and as it was run. */
export interface SqlText {
  /** For the reader, such as migrations/current.sql. */
  path: string;
  text: string;
  placeholders: Readonly<Record<string, string>>;
}

export type SqlError = Omit<Partial<pg.DatabaseError>, "name"> & {
  message: string;
  /** In the file, from 0: where we have found it. */
  offset?: number;
};

/** Lines shown before the one that failed. */
const CONTEXT = 2;

/** What PostgreSQL says of a statement that failed, with its line in the file and a caret. */
export async function describeSqlFault(
  error: SqlError,
  source: SqlText,
  databaseUrl: string,
): Promise<string> {
  const offset =
    error.offset ??
    (error.position === undefined
      ? await startOfFailed(source, databaseUrl, error)
      : offsetInFile(source, Number(error.position) - 1));
  const code = error.code === undefined ? "" : ` ${error.code}`;
  const hint = error.hint ?? hintFor(error, source, offset);
  const said = [
    `${error.severity ?? "ERROR"}${code}: ${error.message}`,
    ...(error.detail ? [`detail: ${error.detail}`] : []),
    ...(hint ? [`hint: ${hint}`] : []),
    ...(error.where ? [`where: ${error.where.split("\n", 1)[0]}`] : []),
  ];
  if (offset === undefined) return [source.path, "", ...said].join("\n");
  const { line, column, shown } = excerpt(source.text, offset);
  return [`${source.path}:${line}:${column}`, "", ...shown, "", ...said].join("\n");
}

/** What was run. */
function compiled({ text, placeholders }: SqlText): string {
  const names = Object.keys(placeholders).map(RegExp.escape);
  const pattern = new RegExp(`(?:${names.join("|") || "(?!)"})\\b`, "g");
  return text.replace(pattern, (name) => placeholders[name] ?? "");
}

function excerpt(text: string, offset: number) {
  const before = text.slice(0, offset).split("\n");
  const line = before.length;
  const start = (before.at(-1) as string).length;
  const lines = text.split("\n").slice(Math.max(0, line - 1 - CONTEXT), line);
  const width = String(line).length;
  const shown = lines.map((content, index) => {
    const number = String(line - lines.length + 1 + index).padStart(width);
    return `  ${number} | ${content}`;
  });
  // Tabs stay tabs, so that the caret is where the reader's terminal puts the fault.
  const indent = (before.at(-1) as string).replace(/[^\t]/g, " ");
  return { line, column: start + 1, shown: [...shown, `  ${" ".repeat(width)} | ${indent}^`] };
}

/** The place in the file of a place in what was run; both count from 0. */
function offsetInFile({ text, placeholders }: SqlText, position: number): number {
  // PostgreSQL counts characters, JavaScript halves of some.
  let run = 0;
  let index = 0;
  const names = Object.keys(placeholders).map(RegExp.escape);
  const pattern = new RegExp(`(?:${names.join("|") || "(?!)"})\\b`, "y");
  while (index < text.length) {
    pattern.lastIndex = index;
    const [name] = pattern.exec(text) ?? [];
    const step = name ? [...(placeholders[name] ?? "")].length : 1;
    if (run + step > position) return index;
    run += step;
    index += name ? name.length : String.fromCodePoint(text.codePointAt(index) as number).length;
  }
  return text.length;
}

/** Where PostgreSQL gives no position: runs the text again, counts what succeeds, undoes it. */
async function startOfFailed(
  source: SqlText,
  databaseUrl: string,
  error: SqlError,
): Promise<number | undefined> {
  if (error.code === undefined) return undefined;
  const starts = statementStarts(source.text);
  // It has one statement, which leaves more behind than can be undone here.
  if (isNoTransactionDefined(source.text)) return starts[0];
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on("error", () => {});
  let succeeded = 0;
  try {
    await client.connect();
    await client.query(
      "set search_path to public; set lock_timeout to '2s'; set statement_timeout to '10s'; begin",
    );
    const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
    connection.on("commandComplete", () => {
      succeeded += 1;
    });
    await client.query(compiled(source));
    return undefined;
  } catch (again) {
    // Another fault than the one that is to be explained, such as a lock: no line is better.
    return (again as SqlError).code === error.code ? starts[succeeded] : undefined;
  } finally {
    await client.end().catch(() => {});
  }
}
