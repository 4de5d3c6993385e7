import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { refuseTransactions } from "../../src/development/current-migration.ts";
import { describeSqlFault, type SqlError } from "../../src/development/sql-fault.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const PLACEHOLDERS = { ":DATABASE_USER": "howdah_user" };

/** What a developer is told of a current.sql that fails; `run` is what PostgreSQL gets of it. */
async function told(text: string, run = text.replaceAll(":DATABASE_USER", "howdah_user")) {
  const source = { path: "current.sql", text, placeholders: PLACEHOLDERS };
  const client = await database.owner.connect();
  try {
    await client.query("begin");
    refuseTransactions(text);
    await client.query(run);
    return "it went well";
  } catch (error) {
    return await describeSqlFault(error as SqlError, source, database.ownerUrl);
  } finally {
    await client.query("rollback");
    client.release();
  }
}

describe("a statement that fails is shown with line, caret and what helps:", () => {
  it.each([
    [
      "a quote in a text",
      "select 1;\nselect 'a boat''s', 'name;\n",
      /^current\.sql:2:21\n[\s\S]+hint: A quote within a text is written twice/,
    ],
    [
      "a table that is there already",
      "select 1;\ncreate table app_public.users (id int);",
      /^current\.sql:2:1\n[\s\S]+42P07[\s\S]+hint: The file is run at each save/,
    ],
    [
      "a placeholder that is none, behind one that is",
      "grant select on app_public.items to :DATABASE_USER, :DATABASE_USR;",
      /^current\.sql:1:53\n[\s\S]+hint: :DATABASE_USR is no placeholder; there are :DATABASE_USER\./,
    ],
    [
      "what needs no transaction",
      "create index concurrently on app_public.items (title);",
      /^current\.sql:1:1\n[\s\S]+hint: Put it into a file of its own .+--! no-transaction/,
    ],
    [
      "and may stand where none is, in the second line",
      "--! no-transaction\nalter table app_public.items drop column nope;",
      /^current\.sql:2:1\n[\s\S]+42703/,
    ],
    ["a byte-order mark", "\uFEFFselect 1;", /hint: The file begins with a byte-order mark/],
    [
      "a transaction of its own, which would leave a half of it behind",
      "-- one\nselect 1;\n  start  transaction; select 2; commit;",
      /^current\.sql:3:3\n[\s\S]+neither begins nor ends one itself/,
    ],
  ])("%s", async (_title, text, expected) => {
    expect(await told(text)).toMatch(expected);
  });

  it("a body that has begin and end is no transaction", async () => {
    const body = "begin perform 1; end";
    expect(await told(`do $$ ${body} $$;`)).toBe("it went well");
    expect(() => refuseTransactions("--! no-transaction\ncommit;")).not.toThrow();
    expect(() => refuseTransactions("select 1;\n--! no-transaction\ncommit;")).toThrow();
  });
});
