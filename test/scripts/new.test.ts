import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { runRules } from "../../src/rules/run-rules.ts";
import { startTestApi } from "../support/api.ts";
import { createTestDatabase } from "../support/database.ts";
import { useProject } from "../support/project-commands.ts";
import { openSocket } from "../support/subscriptions.ts";

const project = useProject();
const { howdah, tool, current } = project;

/** A database with the project's current.sql, saved twice; the rules find nothing new in it. */
async function applied() {
  const database = await createTestDatabase();
  const before = await runRules(database.owner);
  const { placeholders } = JSON.parse(await readFile(".gmrc", "utf8"));
  let sql = await current();
  for (const [name, role] of Object.entries<string>(placeholders)) sql = sql.replaceAll(name, role);
  await database.owner.query(sql);
  await database.owner.query(sql);
  await database.owner.query("select app_private.sync_live_triggers()");
  expect(await runRules(database.owner)).toEqual(before);
  return database;
}

const TABLE = ["new:table", "jottings", "--owned-by", "users", "--live"];
const COLUMNS = ["title:text", "body:text?", "done:boolean"];

describe("new:table", () => {
  it("makes a table that passes all rules, can be applied at each save, and is in the API", async () => {
    expect(await howdah(...TABLE, ...COLUMNS)).toMatchObject({ code: 0 });
    const database = await applied();
    const api = await startTestApi({ database });
    try {
      const [ada, bob] = [await api.signUp(), await api.signUp()];
      const socket = openSocket(api.url, { authorization: `Bearer ${ada.token}` });
      const changes = socket.subscribe(
        "subscription { jottingChanged(initialEvent: true) { operation jotting { title } } }",
      );
      expect(await changes.next()).toMatchObject({ data: { jottingChanged: { operation: null } } });
      const { data } = await api.graphql(
        `mutation { createJotting(input: {jotting: {title: "Buy rope", body: null}}) {
          jotting { id userId title body isDone createdAt } } }`,
        { token: ada.token },
      );
      expect(data.createJotting.jotting).toMatchObject({ userId: ada.userId, isDone: false });
      expect(await changes.next()).toEqual({
        data: { jottingChanged: { operation: "INSERT", jotting: { title: "Buy rope" } } },
      });
      socket.close();
      const titles = async (token: string) =>
        (await api.graphql("{ jottings { nodes { title } } }", { token })).data.jottings.nodes;
      expect(await titles(ada.token)).toEqual([{ title: "Buy rope" }]);
      expect(await titles(bob.token)).toEqual([]);
    } finally {
      await api.stop();
      await database.drop();
    }
  });

  it("makes a table of all users' that operators write", async () => {
    expect(
      await howdah("new:table", "plans", "price:numeric", "data:jsonb?", "sold:timestamptz?"),
    ).toMatchObject({ code: 0, output: expect.stringContaining("sold is named sold_at") });
    await (await applied()).drop();
  });

  it("prints what it would make, and makes nothing, with --dry-run", async () => {
    const { code, output } = await howdah("new:table", "sketches", "--dry-run");
    expect(code).toBe(0);
    expect(output).toContain("create table app_public.sketches (");
    expect(output).toContain("// test/sql/sketches.test.ts");
    expect(await current()).toBe(project.empty);
    await expect(readFile(project.path("test/sql/sketches.test.ts"))).rejects.toThrow("ENOENT");
  });
});

describe("new:function", () => {
  it("makes a query and a mutation that pass all rules", async () => {
    expect(await howdah("new:function", "greeting", "name:text")).toMatchObject({ code: 0 });
    expect(
      await howdah("new:function", "tidy_up", "--volatile", "--returns", "app_public.items"),
    ).toMatchObject({ code: 0 });
    const database = await applied();
    const api = await startTestApi({ database });
    try {
      const { token } = await api.signUp();
      const { data } = await api.graphql('{ greeting(name: "Ada") }', { token });
      expect(data).toEqual({ greeting: null });
      const { errors } = await api.graphql("mutation { tidyUp(input: {}) { item { id } } }", {
        token,
      });
      expect(errors).toMatchObject([{ path: ["tidyUp"] }]);
    } finally {
      await api.stop();
      await database.drop();
    }
  });
});

describe("all that is made", () => {
  it("passes the tests made with it, the formatter, the linter and the compiler, as it is", {
    timeout: 240_000,
  }, async () => {
    const made = [
      ["new:table", "memos", "--owned-by", "users", "--live", ...COLUMNS],
      ["new:table", "prices", "amount:numeric", "note:text?"],
      ["new:function", "memo_count", "since:date", "--returns", "int"],
      ["new:function", "all_memos", "--returns", "setof app_public.memos"],
      ["new:function", "send_memos", "--volatile", "--returns", "void"],
      ["new:task", "send_report"],
    ];
    for (const args of made) expect(await howdah(...args)).toMatchObject({ code: 0 });
    const files = [
      ...["memos", "prices", "memo_count", "all_memos", "send_memos"].map(
        (name) => `test/sql/${name}.test.ts`,
      ),
      "test/tasks/send_report.test.ts",
    ];
    const sources = [...files, "tasks/send_report.ts"];
    expect(await tool("biome", "check", ...sources)).toMatchObject({ code: 0 });
    // The rest of the project is what `npm run check` compiles.
    const only = { extends: "./tsconfig.json", include: [], files: sources };
    await writeFile(project.path("tsconfig.made.json"), JSON.stringify(only));
    expect(await tool("tsc", "--project", "tsconfig.made.json")).toEqual({ code: 0, output: "" });
    const { code, output } = await tool("vitest", "run", ...files, "test/sql/conventions.test.ts");
    expect(output).toMatch(/, 0 failed\n$/);
    expect(code).toBe(0);
  });
});
