import { readFile } from "node:fs/promises";
import { buildSchema, isInputObjectType, isObjectType } from "graphql";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTemplateDatabase, type TemplateDatabase } from "../support/template.ts";

let template: TemplateDatabase;
beforeAll(async () => {
  template = await createTemplateDatabase();
});
afterAll(() => template.drop());

const page = readFile("docs/from-fastapi.md", "utf8");

describe("docs/from-fastapi.md", () => {
  it("says where each table and column of the template is", async () => {
    const { rows } = await template.pool.query<{ table: string; column: string }>(
      `select table_name as table, column_name as column from information_schema.columns
       where table_schema = 'public' and table_name <> 'alembic_version'`,
    );
    expect(new Set(rows.map(({ table }) => table)).size).toBe(6);
    const section = (await page).split("## Tables and columns")[1] as string;
    const lines = section.split("\n").filter((line) => line.startsWith("| `"));
    const missing = rows.filter(({ table, column }) => {
      const said = lines.map((line) => (line.split(" | ")[0] as string).replaceAll("`", ""));
      return !said.some((names) => {
        if (names === `| ${table}, all columns`) return true;
        if (!names.startsWith(`| ${table}.`)) return false;
        return names.replace(`| ${table}.`, "").split(", ").includes(column);
      });
    });
    expect(missing).toEqual([]);
  });

  it("names types, fields and mutations that the API has", async () => {
    const schema = buildSchema(await readFile("schema.graphql", "utf8"));
    const section = (await page).split("## The API")[1] as string;
    const here = section
      .split("\n## ")[0]
      ?.split("\n")
      .filter((line) => line.startsWith("| `"))
      .map((line) => line.split(" | ").at(-1) as string);
    expect(here).toHaveLength(8);
    for (const [, type = "", fields = ""] of (here as string[])
      .join("\n")
      .matchAll(/`(\w+) \{ ([^}]+) \}`/g)) {
      const known = schema.getType(type);
      if (!isObjectType(known)) throw new Error(`There is no type ${type}.`);
      const names = fields.split(" ").filter((name) => name !== "…");
      expect(Object.keys(known.getFields())).toEqual(expect.arrayContaining(names));
    }
    for (const [, mutation = "", input = ""] of (here as string[])
      .join("\n")
      .matchAll(/`(\w+)\(input: \{(.+?)\}\)`/g)) {
      expect(Object.keys(schema.getMutationType()?.getFields() ?? {})).toContain(mutation);
      const type = schema.getType(`${mutation.replace(/^./, (c) => c.toUpperCase())}Input`);
      if (!isInputObjectType(type)) throw new Error(`${mutation} has no input.`);
      const [first = ""] = input.split(/[,:]/);
      expect(Object.keys(type.getFields())).toContain(first);
    }
  });
});
