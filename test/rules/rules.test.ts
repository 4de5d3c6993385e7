import { readdir, readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Rule, readRules, runRules } from "../../src/rules/run-rules.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { findingsOf, NOTES, rolledBack } from "../support/rules.ts";

let database: TestDatabase;
let rules: Rule[];
beforeAll(async () => {
  database = await createTestDatabase();
  rules = await readRules();
});
afterAll(() => database.drop());

describe("the rules", () => {
  it("have nothing to say about our own schema", async () => {
    expect(await runRules(database.owner)).toEqual([]);
  });

  it("have nothing to say about a well-built table", () =>
    rolledBack(database, async (client) => {
      await client.query(NOTES);
      expect(await runRules(client)).toEqual([]);
    }));

  it("have a page and a test each, and no page or test is without its rule", async () => {
    const names = rules.map(({ name }) => name);
    const namesIn = async (folder: string, end: string, apart: string) =>
      (await readdir(folder))
        .filter((file) => file !== apart)
        .map((file) => file.replace(end, ""))
        .sort();
    expect(await namesIn("docs/rules", ".md", "README.md")).toEqual(names);
    expect(await namesIn("test/rules", ".test.ts", "rules.test.ts")).toEqual(names);
    const index = await readFile("docs/rules/README.md", "utf8");
    for (const { name, level, title } of rules) {
      const page = await readFile(`docs/rules/${name}.md`, "utf8");
      expect(page).toMatch(new RegExp(`^# ${name}\n\nLevel: ${level}\n`));
      expect(page.match(/^## .+/gm)).toEqual(["## Why", "## How to resolve", "## False positives"]);
      expect(index).toContain(`| [${name}](${name}.md) | ${level} | ${title} |`);
    }
  });

  it("put errors before warnings", () =>
    rolledBack(database, async (client) => {
      await client.query("create table app_public.bad (id int, user_id int, done_at timestamp)");
      const levels = (await runRules(client)).map(({ level }) => level);
      expect(new Set(levels)).toEqual(new Set(["error", "warning"]));
      expect(levels).toEqual(levels.toSorted());
    }));

  it("say which schema or role does not exist, instead of finding nothing", async () => {
    await expect(runRules(database.owner, { schemas: ["app_pubic"] })).rejects.toThrow(
      "There is no schema app_pubic.",
    );
    await expect(runRules(database.owner, { roles: ["anybody"] })).rejects.toThrow(
      "There is no role anybody.",
    );
  });

  it("judge other schemas and roles than ours", () =>
    rolledBack(database, async (client) => {
      await client.query(`
        create role somebody;
        create schema shop;
        create table shop."Order" (id int, password text);
        grant select on shop."Order" to somebody;
      `);
      const options = { schemas: ["shop"], roles: ["somebody"] };
      const found = await runRules(client, options);
      expect(found.map(({ rule, object }) => `${rule} ${object}`)).toEqual([
        'exposed_secret_column shop."Order".password',
        'row_level_security_off shop."Order"',
        'missing_comment shop."Order"',
        'missing_comment shop."Order".password',
      ]);
    }));

  it.each([
    ["README's first table", "README.md", "## First table"],
    ["the team of docs/database-first.md", "docs/database-first.md", "## Shared among a team"],
  ])("have nothing to say about %s, which db:commit takes as it is", async (_, page, section) => {
    const [, text = ""] = (await readFile(page, "utf8")).split(`${section}\n`);
    const [, sql = ""] = /```sql\n([\s\S]+?)```/.exec(text) ?? [];
    await rolledBack(database, async (client) => {
      await client.query(sql.replaceAll(":DATABASE_USER", "howdah_user"));
      expect(await runRules(client)).toEqual([]);
    });
  });

  it("leave alone what an extension brought", async () => {
    const { rows } = await database.owner.query(
      "select 1 from pg_extension where extname = 'citext' and extnamespace = 'public'::regnamespace",
    );
    expect(rows).toHaveLength(1);
    expect(
      await runRules(database.owner, { schemas: ["app_public"], internalSchemas: ["public"] }),
    ).toEqual([]);
  });
});

describe("a silence with its reason", () => {
  const violation = `
    alter table app_public.notes add column seen timestamp, add column heard timestamp;
    create trigger later before update on app_public.notes
      for each row execute function app_private.tg__timestamps();
  `;

  it("of an object is for that alone", () =>
    rolledBack(database, async (client) => {
      await client.query(NOTES);
      await client.query(violation);
      await client.query(`comment on column app_public.notes.seen is
        E'@allow timestamp_without_zone because a clock on the wall shows it\\nWhen.'`);
      expect(await findingsOf("timestamp_without_zone", client)).toMatchObject([
        { object: "app_public.notes.heard" },
      ]);
      await client.query(`comment on trigger later on app_public.notes is
        '@allow trigger_order because it is the only one'`);
      expect(await findingsOf("trigger_order", client)).toEqual([]);
    }));

  it("is no part of what the API says of itself", async () => {
    const { rowCount } = await database.owner.query(
      "select from pg_description where description ~ '^@allow '",
    );
    expect(rowCount).toBeGreaterThan(0);
    // That file is the schema of the migrations: test/api/schema-file.test.ts.
    expect(await readFile("schema.graphql", "utf8")).not.toContain("@allow");
  });

  it("of a table is for all that belongs to it, rule by rule", () =>
    rolledBack(database, async (client) => {
      await client.query(NOTES);
      await client.query(violation);
      await client.query(`comment on table app_public.notes is
        E'@allow timestamp_without_zone because of clocks\\n@allow trigger_order because so\\nA note.'`);
      const found = await runRules(client);
      expect(new Set(found.map(({ rule }) => rule))).toEqual(new Set(["missing_comment"]));
    }));
});
