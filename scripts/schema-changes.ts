import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

export interface BreakingChange {
  /** Such as `Item.title`. */
  path: string;
  message: string;
}

/** What clients of the first schema could do and those of the second cannot, as SDL. */
export async function breakingChanges(before: string, after: string): Promise<BreakingChange[]> {
  const changes = await diff(buildSchema(before), buildSchema(after));
  return changes
    .filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking)
    .map(({ path = "", message }) => ({ path, message }));
}

/** Those that the changelog's first section (what is unreleased) does not name. */
export function unannounced(changes: readonly BreakingChange[], changelog: string): string[] {
  const [, unreleased = ""] = changelog.split(/^## /m);
  return changes
    .filter(({ path }) => !unreleased.includes(`\`${path}\``))
    .map(({ path, message }) => `${path}: ${message}`);
}
