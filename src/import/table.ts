import { readFileSync } from "node:fs";
import type { Keyring } from "../auth/sealing.ts";

/** In the order in which they refer to each other. */
export const TABLE_NAMES = [
  "users",
  "refresh_tokens",
  "device_tokens",
  "notifications",
  "oauth2_credentials",
  "items",
] as const;
export type TableName = (typeof TABLE_NAMES)[number];

/** What a column of the template holds; `deadline` is a time that may be infinite. */
export type Kind = "int" | "ints" | "text" | "boolean" | "time" | "deadline" | "json";

/** A row as it was read: everything but null and booleans as text. */
export type SourceRow = Record<string, string | boolean | null> & { id: string };

/** A row as it goes to the target: names of `staged`. */
export type StagedRow = Record<string, string | boolean | number | string[] | null>;

/**
 * How a table of the template becomes one of Howdah's. Its rows are staged in pg_temp.source_<name>,
 * with `state` (null until it is decided), `reason` and `notes`; `repair` decides what only this table
 * knows; `select` gives the rows that are left, by the names of the target's columns.
 */
export interface ImportTable {
  name: TableName;
  /** The table that keeps the row. */
  target: string;
  /** Another table that gets rows with ids of its own. */
  numbers?: string;
  /** Rows keep their ids. False: they get new ones, and are not missed when they are gone. */
  keepsIds: boolean;
  /** Of the template, without id and created_at. */
  columns: Readonly<Record<string, Kind>>;
  /** Columns of the staged rows with their SQL types, without id and created_at. */
  staged: Readonly<Record<string, string>>;
  /** What has to be done in Node: hashing, encrypting. */
  stage?(row: SourceRow, keyring: Keyring): StagedRow;
  /** Rows read at once. */
  batchSize: number;
  /** Statements before the rows are checked. `:name` stands for that check constraint of the target. */
  repair: string;
  /** source_id, and the target's columns. */
  select: string;
  /** Statements after the rows have been inserted. */
  after?: string;
}

/** The SQL of a table, next to its TypeScript: parts begin with `--! repair`, `select`, `after`. */
export function readParts(name: TableName): Pick<ImportTable, "repair" | "select" | "after"> {
  const text = readFileSync(new URL(`./tables/${name}.sql`, import.meta.url), "utf8");
  const parts = Object.fromEntries(
    text
      .split(/^--! /m)
      .slice(1)
      .map((part) => {
        const end = part.indexOf("\n");
        return [part.slice(0, end).trim(), part.slice(end).trim()];
      }),
  );
  return { repair: parts.repair ?? "", select: parts.select ?? "", after: parts.after ?? "" };
}

/** The SQL type that keeps a column of this kind as it is. */
export const STAGED: Readonly<Record<Kind, string>> = {
  int: "int",
  ints: "int[]",
  text: "text",
  boolean: "boolean",
  time: "timestamptz",
  deadline: "timestamptz",
  json: "text",
};

/** The staged columns of a table whose rows need nothing in Node. */
export function asTheyAre(columns: Readonly<Record<string, Kind>>): Record<string, string> {
  return Object.fromEntries(Object.entries(columns).map(([name, kind]) => [name, STAGED[kind]]));
}

/** A bytea as text. */
export function bytea(bytes: Buffer): string {
  return `\\x${bytes.toString("hex")}`;
}
