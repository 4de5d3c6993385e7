import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { type Policy, rowsOf, type Table } from "./rows.ts";

interface Role {
  role: string;
  attributes: string[];
  inherits: string[];
  becomes: string[];
  schemas: string[];
}

interface Grant {
  role: string;
  /** Null: all of them. */
  columns: string[] | null;
}

interface TableGrants extends Table {
  name: string;
  commands: { command: string; grants: Grant[] }[];
}

interface Executable {
  name: string;
  is_definer: boolean;
  roles: string[];
  /** Whether anybody may use its schema. */
  is_reachable: boolean;
}

const HEAD = `<!-- Written by npm run db:access: change the migrations, not this file. -->

# Who may what

As the catalogue says once all migrations are applied. \`howdah_owner\` and superusers may all of it, and no policy holds
them; \`public\` is everybody. Rights that a role inherits are listed as its own.`;

/**
 * Who may what in a database, as Markdown: roles, then a line for each table and command, then one for
 * each function that somebody may execute. The same schema gives the same text.
 */
export async function accessMatrix(client: pg.ClientBase): Promise<string> {
  await client.query("begin read only");
  try {
    // So that expressions and arguments name everything with its schema.
    await client.query("set local search_path = pg_catalog");
    const roles = await ask<Role>(client, "roles");
    const tables = await ask<TableGrants>(client, "tables");
    const policies = await ask<Policy>(client, "policies");
    const functions = await ask<Executable>(client, "functions");
    const sections = [
      HEAD,
      "## Roles",
      markdownTable(["role", "is", "inherits", "becomes", "may use schemas"], roles.map(roleLine)),
      "## Tables and views",
      markdownTable(
        ["table", "command", "who, and which columns", "which rows"],
        tables.flatMap((table) =>
          tableLines(
            table,
            policies.filter(({ table_oid }) => table_oid === table.oid),
          ),
        ),
      ),
      "## Functions",
      "What is not listed can be executed by nobody.",
      markdownTable(["function", "who", "with the rights of"], functions.map(functionLine)),
    ];
    return `${sections.join("\n\n")}\n`;
  } finally {
    await client.query("rollback");
  }
}

async function ask<T>(client: pg.ClientBase, topic: string): Promise<T[]> {
  const text = await readFile(join(import.meta.dirname, `${topic}.sql`), "utf8");
  return (await client.query(text)).rows as T[];
}

function roleLine({ role, attributes, inherits, becomes, schemas }: Role): string[] {
  return [role, ...[attributes, inherits, becomes, schemas].map((list) => list.join(", "))];
}

function tableLines(table: TableGrants, policies: Policy[]): string[][] {
  const name = table.is_view ? `${table.name} (view)` : table.name;
  if (table.commands.every(({ grants }) => grants.length === 0)) return [[name, "", "nobody", ""]];
  return table.commands.map(({ command, grants }) => [
    name,
    command,
    grants.length === 0 ? "nobody" : whoOf(grants),
    grants.length === 0 ? "" : rowsOf(table, command, policies),
  ]);
}

/** Roles with the same columns together. */
function whoOf(grants: Grant[]): string {
  const byColumns = Map.groupBy(grants, ({ columns }) => columns?.join(", ") ?? "all");
  return [...byColumns]
    .map(([columns, list]) => `${list.map(({ role }) => role).join(", ")}: ${columns}`)
    .join("; ");
}

function functionLine({ name, roles, is_definer, is_reachable }: Executable): string[] {
  const who = roles.join(", ");
  return [
    name,
    is_reachable ? who : `${who}, but nobody may use the schema`,
    is_definer ? "its owner: **security definer**" : "who calls it",
  ];
}

function markdownTable(head: string[], lines: string[][]): string {
  const row = (cells: string[]) =>
    `|${cells.map((cell) => (cell === "" ? " " : ` ${cell.replaceAll("|", "\\|")} `)).join("|")}|`;
  return [row(head), `|${head.map(() => "---|").join("")}`, ...lines.map(row)].join("\n");
}
