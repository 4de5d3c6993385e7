import { styleText } from "node:util";
import { type ApiChange, apiChanges } from "../../scripts/schema-changes.ts";
import type { Change } from "./save.ts";

/** Lines at most: a new table alone is a dozen. */
const MAX_LINES = 30;

const NEW = /^(Type|Field) '.+' was added\b/;

/** What clients can ask or do that they could not before: never left out. */
const NEW_OPERATION = /^Field '.+' was added to object type '(Query|Mutation|Subscription)'/;

/** What changed in the API, for a person: what breaks clients first, then what they can do now. */
export async function readableChanges(before: string, after: string): Promise<Change[]> {
  if (before === after) return [];
  const all = await apiChanges(before, after);
  // What a new type or field consists of is said by its name.
  const isNew = ({ message }: ApiChange) => NEW.test(message);
  const added = new Set(all.filter(isNew).map(({ path }) => path));
  return all
    .filter((change) => {
      const parts = change.path.split(".");
      const above = parts.map((_part, index) => parts.slice(0, index).join("."));
      return !above.some((path) => added.has(path)) && (isNew(change) || !added.has(change.path));
    })
    .map(({ message, level }) => ({ sign: signOf(message), message, level }))
    .sort((a, b) => rank(a) - rank(b));
}

/** The same for the terminal. */
export function describeChanges(changes: readonly Change[]): string {
  if (changes.length === 0) return "The API is as it was.";
  const shown = changes
    .filter(({ message }, index) => index < MAX_LINES || NEW_OPERATION.test(message))
    .map(describe);
  const more = changes.length - shown.length;
  if (more > 0) shown.push(`  … and ${more} more`);
  const breaking = changes.filter(({ level }) => level === "breaking").length;
  const count = `${changes.length} ${changes.length === 1 ? "change" : "changes"} in the API`;
  const head = breaking === 0 ? `${count}:` : `${count}, ${breaking} breaking:`;
  return [head, ...shown].join("\n");
}

/** Why there is no API of what PostgreSQL has taken. */
export function unbuildable(fault: string): string {
  const hint = /naming conflict/.test(fault)
    ? "\nhint: Give one of them another name in the API: comment on … is E'@name other_name\\n…';"
    : "";
  return `PostGraphile cannot build a schema of this database: ${fault}${hint}`;
}

function rank({ level, message, sign }: Change): number {
  if (level === "breaking") return sign === "+" ? 0 : 1;
  if (NEW_OPERATION.test(message)) return 2;
  return (level === "dangerous" ? 3 : 5) + (sign === "+" ? 0 : 1);
}

function signOf(message: string): Change["sign"] {
  if (/\badded\b/.test(message)) return "+";
  return /\bremoved\b/.test(message) ? "-" : "~";
}

function describe({ level, message, sign }: Change): string {
  const line = `  ${sign} ${message}`;
  if (level === "compatible") return line;
  return styleText(level === "breaking" ? "red" : "yellow", `${line} (${level})`);
}
