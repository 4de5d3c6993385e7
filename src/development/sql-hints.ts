import type { SqlError, SqlText } from "./sql-fault.ts";

/** What is there already: a statement that was fine at the first save. */
const THERE_ALREADY = new Set(["42P06", "42P07", "42701", "42710", "42723"]);

/** What helps where PostgreSQL itself has no hint, because it does not know the file. */
export function hintFor(
  { code, message }: SqlError,
  { text, placeholders }: SqlText,
  offset: number | undefined,
): string | undefined {
  if (text.startsWith("\uFEFF")) return "The file begins with a byte-order mark: save it without.";
  if (/^unterminated quoted string/.test(message)) {
    return "A quote within a text is written twice: 'the boat''s name'.";
  }
  if (THERE_ALREADY.has(code ?? "")) {
    return "The file is run at each save, so it has to be safe to run twice: docs/database-first.md has the recipes.";
  }
  if (code === "25001" && /cannot (run|be executed) inside/.test(message)) {
    return "Put it into a file of its own that begins with the line: --! no-transaction";
  }
  const [name] = /^:[A-Z_]+/.exec(text.slice(offset)) ?? [];
  if (code === "42601" && name !== undefined) {
    return `${name} is no placeholder; there are ${Object.keys(placeholders).join(", ")}.`;
  }
  return undefined;
}
