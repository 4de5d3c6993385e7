import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createKit } from "../kit/kit.ts";
import { createTestDatabase } from "../support/database.ts";
import { type Dev, startDev } from "../support/dev.ts";
import { type Running, run } from "../support/processes.ts";
import { until } from "../support/until.ts";

let dev: Dev;
let shell: Running | undefined;
beforeAll(async () => {
  dev = await startDev();
}, 180_000);
afterAll(async () => {
  if (shell?.child.exitCode === null) process.kill(-(shell.child.pid as number));
  await dev.stop();
});

interface Example {
  script: string;
  /** What it prints. */
  printed: string;
  /** What `npm run dev` prints then. */
  told: string;
}

/** The shell blocks of a page, each with the blocks behind it. */
function examples(page: string): Example[] {
  return page
    .split("```sh\n")
    .slice(1)
    .map((part) => ({
      script: part.split("```", 1)[0] as string,
      printed: /```text\n([\s\S]+?)```/.exec(part)?.[1] ?? "",
      told: /```console\n([\s\S]+?)```/.exec(part)?.[1] ?? "",
    }));
}

/** Literally, but for … which stands for anything within a line, or alone for any lines. */
function pattern(printed: string): string {
  return printed
    .trim()
    .split("\n")
    .map((line) => (line === "…" ? "[\\s\\S]*?" : line.split("…").map(RegExp.escape).join(".*")))
    .join("\n(?:.*\n)*?");
}

const page = readFile("docs/database-first.md", "utf8");

it("the first table of docs/database-first.md goes as the page says, command by command", {
  timeout: 180_000,
}, async () => {
  const [first, ...all] = examples((await page).split("## The loop")[0] as string);
  expect(first?.script).toBe("npm run dev\n");
  expect(all.length).toBeGreaterThan(5);
  const steps = all.map(
    ({ script }, index) =>
      `${script.replaceAll("http://127.0.0.1:5678", dev.api)}\necho "---- end of ${index}"\nwhile [ ! -e go-${index} ]; do sleep 0.05; done\n`,
  );
  shell = run("sh", ["-c", steps.join("")], { cwd: dev.root });
  let output = 0;
  for (const [index, { printed, told }] of all.entries()) {
    const before = dev.running.output().length;
    const end = `---- end of ${index}\n`;
    await shell.prints(new RegExp(RegExp.escape(end)), 90_000);
    const shown = shell.output().slice(output, -end.length).trim();
    output = shell.output().length;
    if (printed !== "") expect(shown).toMatch(new RegExp(`^${pattern(printed)}$`));
    else expect(shown).toBe("");
    if (told !== "") {
      const expected = new RegExp(pattern(told), "m");
      const seen = () => dev.running.output().slice(Math.max(0, before - 2000));
      await until(
        async () => (expected.test(seen()) ? "" : seen()),
        (missing) => missing === "",
      );
    }
    await writeFile(join(dev.root, `go-${index}`), "");
  }
  expect(await shell.ends()).toBe(0);
  expect(existsSync(join(dev.root, "go-0"))).toBe(true);
});

describe("the recipes", () => {
  it("of docs/database-first.md run twice", async () => {
    const sections = /## Shared among a team\n([\s\S]+?)\n## (?!Safe)/.exec(await page)?.[1] ?? "";
    const recipes = [...sections.matchAll(/```sql\n([\s\S]+?)```/g)].map(([, sql = ""]) =>
      sql.replaceAll(":DATABASE_USER", "howdah_user"),
    );
    expect(recipes.length).toBeGreaterThan(4);
    const database = await createTestDatabase();
    try {
      for (const recipe of recipes) {
        await database.owner.query(recipe);
        await database.owner.query(recipe);
      }
      // Of two teams and three members, one sees their own team and who else is in it.
      const { rows } = await database.owner.query(
        `with ids as (
           insert into app_public.users (first_name) values ('A'), ('B'), ('C') returning id
         ), teams as (insert into app_public.teams (name) values ('Reds'), ('Blues') returning id)
         insert into app_public.team_members (team_id, user_id)
         select (select min(id) + (i.id % 3 = 0)::int from teams), i.id from ids i
         returning team_id, user_id`,
      );
      const mine = rows.filter(({ team_id }) => team_id === rows[0].team_id);
      const { asUser } = createKit(() => database);
      const seen = await asUser(rows[0].user_id, "select user_id from app_public.team_members");
      expect(new Set(seen.rows.map(({ user_id }) => user_id))).toEqual(
        new Set(mine.map(({ user_id }) => user_id)),
      );
      expect(mine.length).toBeLessThan(rows.length);
    } finally {
      await database.drop();
    }
  });
});
