import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { howdah } from "../support/howdah.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const lint = (...args: string[]) => howdah(database.ownerUrl, "lint", ...args);

describe("npm run howdah -- lint", () => {
  it("says what is wrong where, what mends it and why; a warning fails only with --strict", async () => {
    await database.owner.query("alter table app_public.items add column made_at timestamp");
    await database.owner.query("comment on column app_public.items.made_at is 'When.'");
    const { code, output } = await lint();
    expect(code).toBe(0);
    expect(output).toBe(
      [
        "WARNINGS",
        "",
        "app_public.items.made_at  timestamp_without_zone",
        "  It is a timestamp without time zone: which instant that is depends on who reads it.",
        "  → alter table app_public.items alter column made_at type timestamptz using made_at at time zone 'UTC';",
        "  docs/rules/timestamp_without_zone.md",
        "",
        "0 errors, 1 warning.",
      ].join("\n"),
    );
    expect((await lint("--strict")).code).toBe(1);
    await database.owner.query("alter table app_public.items drop column made_at");
  });

  it("fails for an error, which --json tells to programs", async () => {
    await database.owner.query("create schema shop; create table shop.orders (id int)");
    const { code, output } = await lint("--schema", "shop", "--role", "howdah_user", "--json");
    expect(code).toBe(1);
    expect(JSON.parse(output)).toMatchObject([
      { level: "error", rule: "row_level_security_off", object: "shop.orders" },
      { level: "warning", rule: "missing_comment", page: "docs/rules/missing_comment.md" },
    ]);
    const one = await lint(
      "--schema",
      "shop",
      "--role",
      "howdah_user",
      "--rule",
      "missing_comment",
    );
    expect(one).toMatchObject({ code: 0, output: expect.stringMatching(/0 errors, 1 warning\.$/) });
    const unknown = await lint("--rule", "no_such_rule");
    expect(unknown).toMatchObject({
      code: 1,
      output: expect.stringContaining(
        "There is no rule no_such_rule: docs/rules/README.md has them all.",
      ),
    });
  });

  it.each([
    [
      "nobody answers",
      ["--database-url", "postgres://me:hunter2@127.0.0.1:1/x"],
      "The database at 127.0.0.1:1 is not reachable (ECONNREFUSED).",
    ],
    [
      "the URL is none",
      ["--database-url", "me:hunter2@/x"],
      "--database-url is no URL such as postgres://user@host:5432/name.",
    ],
    [
      "it has no flag",
      ["postgres://me:hunter2@127.0.0.1:1/x"],
      expect.stringMatching(/^An argument has no flag\. Usage: /),
    ],
    [
      "the schema does not exist",
      ["--schema", "shopp"],
      "There is no schema shopp. Name those of this database with --schema and --role.",
    ],
  ])("says in one line, without a password, that %s", async (_title, args, line) => {
    const { code, output } = await lint(...args);
    expect(code).toBe(1);
    expect(output.split("\n")).toEqual([line]);
    expect(output).not.toContain("hunter2");
  });

  it("says in one line that the database refuses", async () => {
    const url = new URL(database.ownerUrl);
    url.password = "hunter2";
    const { code, output } = await lint("--database-url", url.href);
    expect(code).toBe(1);
    expect(output).toBe(`The database at ${url.host} refuses this user or password.`);
  });
});
