import { readFileSync } from "node:fs";
import { join } from "node:path";
import { LRUCache } from "lru-cache";
import { type DefinitionNode, parse, print, separateOperations } from "postgraphile/graphql";

const FILE = join(import.meta.dirname, "../console/graphql/operations.graphql");

/** The longest that it is worth to look at, characters. */
const LONGEST = 10_000;

/** @returns whether a document is one of the console's, however it is laid out */
export function consoleOperations(): (document: unknown) => boolean {
  const separate = Object.values(separateOperations(parse(readFileSync(FILE, "utf8"))));
  const known = new Set(separate.map(({ definitions }) => normal(definitions)));
  const seen = new LRUCache<string, boolean>({ max: 100 });
  return (document) => {
    if (typeof document !== "string" || document.length > LONGEST) return false;
    const isKnown = seen.get(document) ?? known.has(normalOf(document));
    seen.set(document, isKnown);
    return isKnown;
  };
}

function normalOf(document: string): string {
  try {
    return normal(parse(document, { noLocation: true, maxTokens: 2000 }).definitions);
  } catch {
    // No GraphQL is none of the console's.
    return "";
  }
}

function normal(definitions: readonly DefinitionNode[]): string {
  const parts = definitions.map((definition) => print(definition));
  return parts.sort().join("\n");
}
