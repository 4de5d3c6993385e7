import { breakingChanges } from "../../scripts/schema-changes.ts";
import { lostNeeds } from "./needs.ts";
import type { Snapshot } from "./snapshot.ts";

/** `-- breaking: why`, the first line of a migration below graphile-migrate's own header. */
const ANNOUNCED = /^-- breaking: \S/;

export function isAnnounced(migration: string): boolean {
  const [first = ""] = migration
    .split("\n")
    .filter((line) => !line.startsWith("--! ") && line.trim() !== "");
  return ANNOUNCED.test(first);
}

/** What a migration takes from clients, and from the API that still runs while it is applied. */
export async function breaks(before: Snapshot, after: Snapshot): Promise<string[]> {
  const api = await breakingChanges(before.schema, after.schema);
  return [
    ...api.map(({ message }) => `clients: ${message}`),
    ...lostNeeds(before.needs, after.needs).map(({ message }) => `the old API: ${message}`),
  ];
}

/** For the terminal: what it breaks, and that it has to say so. */
export function unannouncedBreak(file: string, found: readonly string[]): string {
  const lines = found.slice(0, MAX_LINES).map((line) => `  ${line}`);
  if (found.length > lines.length) lines.push(`  … and ${found.length - lines.length} more`);
  return `${file} breaks what may be in use:\n${lines.join("\n")}\nFind a way that breaks nothing (docs/database-first.md), or say why not in its first line: -- breaking: why`;
}

const MAX_LINES = 20;
