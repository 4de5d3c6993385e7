import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { describe, expect, it } from "vitest";
import { KINDS } from "../../scripts/new/new.ts";
import { createTestDatabase } from "../support/database.ts";
import { useProject } from "../support/project-commands.ts";

const project = useProject();

describe("what cannot be made", () => {
  it.each([
    [
      "a table that is there",
      ["new:table", "items"],
      "app_public.items exists already: migrations/committed/000007-items.sql.",
    ],
    ["a function that is there", ["new:function", "me"], /^app_public\.me exists already: /],
    [
      "a task that is there",
      ["new:task", "delete_expired"],
      "tasks/delete_expired.ts exists already.",
    ],
    ["no name", ["new:table"], "Which table? Give its name."],
    [
      "no identifier",
      ["new:table", "Robert'); drop"],
      /^"Robert'\); drop" is no name for a table: /,
    ],
    ["a path", ["new:task", "../evil"], /^"\.\.\/evil" is no name for a task: /],
    [
      "a word of SQL",
      ["new:table", "order"],
      '"order" is a word of SQL: choose another name for the table.',
    ],
    [
      "a long name",
      ["new:table", "a".repeat(41)],
      /is too long for a table: 40 characters at most\.$/,
    ],
    [
      "an unknown type",
      ["new:table", "jottings", "title:txt"],
      /^title:txt: there is no type txt here\. /,
    ],
    [
      "no type of ours",
      ["new:table", "jottings", "title:constructor"],
      /there is no type constructor/,
    ],
    ["a column twice", ["new:table", "jottings", "a:text", "a:int"], "There are two columns a."],
    [
      "a column that every table has",
      ["new:table", "jottings", "id:int"],
      "Every table has its own id already.",
    ],
    [
      "another owner",
      ["new:table", "jottings", "--owned-by", "rooms"],
      /^--owned-by rooms: rows can belong to users\. /,
    ],
  ])("is refused with what is wrong: %s", async (_what, [command, ...args], line) => {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { "owned-by": { type: "string" } },
    });
    const making = KINDS[command as string]?.plan(project.path("."), positionals, values);
    await expect(making).rejects.toThrow(line);
  });

  it("is said in one line, with exit code 1, and nothing is written", async () => {
    const { code, output } = await project.howdah("new:table", "jottings", "--alive");
    expect(code).toBe(1);
    expect(output).toMatch(
      /^Unknown option '--alive'\. Usage: npm run howdah -- new:table NAME .+\n$/,
    );
    expect((await project.howdah("new:table", "order")).output.split("\n")).toHaveLength(2);
    expect(await project.current()).toBe(project.empty);
  });

  it("is what the database has, or a migration makes in other words: the SQL would drop it", async () => {
    const database = await createTestDatabase();
    await database.owner.query('create table app_public."boats" (id int)');
    project.env = { DATABASE_URL: database.ownerUrl };
    const { code, output } = await project.howdah("new:table", "boats", "body:text");
    expect(output).toMatch(/^app_public\.boats exists already, in the database: .+\n$/);
    expect(code).toBe(1);
    expect((await project.howdah("new:table", "ships", "--dry-run")).code).toBe(0);
    project.env = {};
    await database.drop();
    for (const sql of [
      'create table if not exists "app_public" . "boats" (id int);',
      "alter table if exists app_public.ships rename to boats;",
    ]) {
      await writeFile(project.path("migrations/current.sql"), sql);
      const making = KINDS["new:table"]?.plan(project.path("."), ["boats"], {});
      await expect(making).rejects.toThrow("exists already: migrations/current.sql");
    }
    expect(await project.current()).toContain("rename to boats");
  });

  it("is what current.sql has already, or a file that is there: nothing is written then", async () => {
    expect((await project.howdah("new:table", "twins")).code).toBe(0);
    const once = await project.current();
    expect((await project.howdah("new:table", "twins")).output).toBe(
      "app_public.twins exists already: migrations/current.sql.\n",
    );
    expect(await project.current()).toBe(once);
    await writeFile(project.path("migrations/current.sql"), project.empty);
    expect((await project.howdah("new:table", "twins")).output).toBe(
      "test/sql/twins.test.ts exists already.\n",
    );
    expect(await project.current()).toBe(project.empty);
  });
});
