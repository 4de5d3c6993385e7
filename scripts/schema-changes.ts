import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

export interface ApiChange {
  /** Such as `Item.title`. */
  path: string;
  message: string;
  /** `breaking`: clients could do it before and cannot now. `dangerous`: some may be surprised. */
  level: "breaking" | "dangerous" | "compatible";
}

const LEVELS = {
  [CriticalityLevel.Breaking]: "breaking",
  [CriticalityLevel.Dangerous]: "dangerous",
  [CriticalityLevel.NonBreaking]: "compatible",
} as const;

/** How the second schema differs from the first, as SDL. */
export async function apiChanges(before: string, after: string): Promise<ApiChange[]> {
  const changes = await diff(buildSchema(before), buildSchema(after));
  return changes.map(({ path = "", message, criticality }) => ({
    path,
    message,
    level: LEVELS[criticality.level],
  }));
}

/** What clients of the first schema could do and those of the second cannot, as SDL. */
export async function breakingChanges(before: string, after: string): Promise<ApiChange[]> {
  return (await apiChanges(before, after)).filter(({ level }) => level === "breaking");
}

/** Those that the changelog's first section (what is unreleased) does not name. */
export function unannounced(changes: readonly ApiChange[], changelog: string): string[] {
  const [, unreleased = ""] = changelog.split(/^## /m);
  return changes
    .filter(({ path }) => !unreleased.includes(`\`${path}\``))
    .map(({ path, message }) => `${path}: ${message}`);
}
