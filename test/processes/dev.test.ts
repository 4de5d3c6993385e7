import { readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isAlive } from "../../src/database/embedded/server.ts";
import { chromiumPath, openChromium } from "../support/chromium.ts";
import { command, npm } from "../support/commands.ts";
import { type Dev, processesOf, startDev } from "../support/dev.ts";
import { until } from "../support/until.ts";

const CURRENT = "migrations/current.sql";
const APPLIED = /is applied[\s\S]*(changes? in the API|The API is as it was)/;
/** SAVES=50 is what has to hold; each takes some seconds. */
const SAVES = Number(process.env.SAVES ?? 12);
let dev: Dev;
/** Open to the end: who looks at a page keeps nothing from stopping. */
let browser: Browser | undefined;

beforeAll(async () => {
  dev = await startDev();
}, 180_000);
afterAll(async () => {
  await browser?.close();
  await dev.stop();
});

const table = (name: string, columns = "body text") => `
  drop table if exists app_public.${name};
  create table app_public.${name} (id int primary key, ${columns});
  grant select on app_public.${name} to :DATABASE_USER;
`;
async function written(path: string, pattern: RegExp): Promise<void> {
  await until(
    async () => pattern.test(await readFile(join(dev.root, path), "utf8")),
    (yes) => yes,
  );
}
/** Two names that are the same in GraphQL: PostgreSQL takes it, PostGraphile does not. */
const UNBUILDABLE = "comment on table app_public.items is '@name user';";
const BUILDABLE = "comment on table app_public.items is e'@live\\nSomething that a user keeps.';";

describe("a save of current.sql", { timeout: 120_000 }, () => {
  it("changes the API, schema.graphql and the client's types, and says what is new and what breaks", async () => {
    const added = await dev.save(CURRENT, table("jottings"), APPLIED);
    expect(added).toMatch(/\+ Type 'Jotting' was added\n/);
    expect(added).not.toMatch(/breaking|'Jotting\.body'/);
    expect(await dev.typeOf("Jotting")).toBe("Jotting");
    await written("schema.graphql", /type Jotting implements Node/);

    const removed = await dev.save(CURRENT, table("jottings", "title text"), APPLIED);
    expect(removed).toMatch(
      /changes in the API, \d breaking:\n(.*\n)* +- Field 'body' was removed from object type 'Jotting' \(breaking\)\n/,
    );
    await written("schema.graphql", /type Jotting implements Node \{[^}]+title: String/);

    // Of types that no operation of the client asks for yet, too.
    const typed = "price numeric(5, 2), day date, key uuid, length interval, path bit varying";
    const said = await dev.save(
      CURRENT,
      `${table("jottings", typed)}comment on column app_public.items.data is $$It's any JSON.$$;`,
      APPLIED,
    );
    expect(said).not.toContain("does not fit");
    await written("examples/client/generated.ts", /\/\*\* It's any JSON\. \*\//);
  });

  it("is judged by the rules: what is new is said with its page and what mends it, and only once", async () => {
    const leaking = `${table("leaks")}grant select on app_public.leaks to :DATABASE_ANONYMOUS;`;
    const found = await dev.save(CURRENT, leaking, /row_level_security_off[\s\S]+→/);
    expect(found).toContain("docs/rules/row_level_security_off.md");
    expect(found).toContain("app_public.leaks");
    expect(found).toMatch(
      /Who may what:\n(.*\n)* +\+ app_public\.leaks · select · .*howdah_anonymous.*: all · every row: /,
    );
    // One entry for a rule, whatever it finds.
    expect(found).toMatch(
      /missing_comment.md\)\n.+\n.+\n +also app_public\.leaks\.body: This column has no comment/,
    );
    const again = await dev.save(CURRENT, `${leaking}select 1;`, /The API is as it was/);
    expect(again).not.toContain("row_level_security_off");
    await dev.save(CURRENT, "drop table if exists app_public.leaks;", /findings? less/);
  });

  it.skipIf(chromiumPath === undefined)(
    "is told in the console, live: what it changed in the API and of access, what the rules find, why it failed",
    async () => {
      browser = await openChromium();
      const page = await browser.newPage();
      page.setDefaultTimeout(60_000);
      await page.goto(`${dev.api}/console/saves`);
      await page.getByRole("button", { name: "Log in as the demo operator" }).click();
      await page.getByRole("heading", { level: 1, name: "Saves" }).waitFor();
      await dev.save(CURRENT, table("scribbles"), APPLIED);
      await page.getByText("Type 'Scribble' was added").waitFor();
      await page
        .getByRole("listitem")
        .filter({ hasText: "app_public.scribbles" })
        .filter({ hasText: "select · howdah_operator, howdah_user: all · every row" })
        .waitFor();
      await page.getByRole("heading", { name: "app_public.scribbles error, new" }).waitFor();
      await page.getByText("row_level_security_off · docs/rules").first().waitFor();

      await dev.save(CURRENT, "selekt 1;", /42601/);
      await page.getByRole("status").getByText("Not applied").waitFor();
      expect(await page.locator(".fault").first().innerText()).toMatch(/current\.sql:1:1/);
      await page.reload();
      await page.getByText("Earlier").waitFor();

      await dev.save(CURRENT, "drop table if exists app_public.scribbles;", APPLIED);
      await page.getByText("Type 'Scribble' was removed").waitFor();
      await page.getByText(/findings? mended by this save/).waitFor();
      const stranger = await fetch(`${dev.api}/console/development/saves`);
      expect(stranger.status).toBe(403);
    },
  );

  it("that fails is shown with its line, a caret and the hint, and changes nothing", async () => {
    await dev.save(CURRENT, table("jottings"), APPLIED);
    const body = `${table("jottings", "note text")}select 1;\n  selekt 2;\n`;
    const syntax = await dev.save(CURRENT, body, /42601/);
    expect(syntax).toMatch(
      /^migrations\/current\.sql:6:3$[\s\S]+\n {2}6 | {3}selekt 2;\n {4}\| {3}\^\n/m,
    );
    const hinted = await dev.save(CURRENT, "select\n  lenght('a');", /hint: .+/);
    expect(hinted).toMatch(/^migrations\/current\.sql:2:3$/m);
    // PostgreSQL gives no position for a value that is refused.
    const refused = `${table("jottings")}/* ; */ insert into app_public.jottings values (1, ';');\n\n-- once more\n  insert into app_public.jottings values (1, 'b');\n`;
    const constraint = await dev.save(CURRENT, refused, /23505/);
    expect(constraint).toMatch(/^migrations\/current\.sql:8:3$/m);
    expect(constraint).toContain("detail: Key (id)=(1) already exists.");
    expect(await dev.typeOf("Jotting")).toBe("Jotting");
  });

  it("that waits for a transaction says whose", async () => {
    await dev.save(CURRENT, table("jottings"), APPLIED);
    const query = "begin; lock table app_public.jottings";
    const told = await dev.inTransaction(query, () =>
      dev.save(CURRENT, `${table("jottings")}select 2;`, /Waiting for a lock/),
    );
    expect(told).toMatch(
      /lock that psql \(process \d+\) holds, idle in transaction since .+: begin; lock/,
    );
    await dev.save(CURRENT, table("jottings"), APPLIED);
  });

  it("that PostGraphile cannot build says why and keeps the old schema; the next good one works", async () => {
    await dev.save(CURRENT, table("jottings"), APPLIED);
    const fault = await dev.save(CURRENT, UNBUILDABLE, /goes on with the schema before/);
    expect(fault).toMatch(/cannot build a schema of this database: .*'User'/);
    expect(fault).toContain("hint: Give one of them another name in the API");
    expect(await dev.typeOf("Jotting")).toBe("Jotting");
    await dev.save(CURRENT, `${BUILDABLE}${table("notelets")}`, APPLIED);
    expect(await dev.typeOf("Notelet")).toBe("Notelet");
  });

  it(`${SAVES} in a row, some broken, some at once, leave the last state, no connection and no memory behind`, {
    timeout: 600_000,
  }, async () => {
    const connections = async () =>
      Number(
        (
          await dev.query(
            "select count(*) from pg_stat_activity where datname = 'howdah' and pid <> pg_backend_pid()",
          )
        )[0]?.count,
      );
    const group = dev.running.child.pid as number;
    const memory = () => processesOf(group).map((one) => one.memory);
    const before = memory();
    const atFirst = await connections();
    for (let n = 1; n <= SAVES; n += 1) {
      const isFast = n % 3 === 0;
      const text =
        n % 5 === 0
          ? "selekt;"
          : n % 7 === 0
            ? UNBUILDABLE
            : `${BUILDABLE}${table("leaves", `c${n} text`)}`;
      const path = join(dev.root, CURRENT);
      if (isFast) {
        await writeFile(path, text);
        await delay(3 * n);
      } else {
        await dev.save(
          CURRENT,
          text,
          n % 5 === 0 ? /42601/ : n % 7 === 0 ? /schema before/ : APPLIED,
        );
      }
    }
    await dev.save(CURRENT, `${BUILDABLE}${table("leaves", "last text")}`, /'last'/);
    await written("schema.graphql", /type Leaf implements Node \{[^}]+last: String/);
    expect(await until(connections, (count) => count <= atFirst + 3)).toBeLessThanOrEqual(
      atFirst + 3,
    );
    const growth = memory().map((held, index) => held - (before[index] ?? 0));
    expect(Math.max(...growth)).toBeLessThan(100);
  });
});

/** By a connection of its own: one that is kept may close just when it is used again. */
function answers(api: string): Promise<boolean> {
  return new Promise((resolve) => {
    const body = JSON.stringify({ query: "{ __typename }" });
    const headers = { "content-type": "application/json" };
    request(`${api}/graphql`, { method: "POST", agent: false, headers }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode === 200));
    })
      .on("error", () => resolve(false))
      .end(body);
  });
}

describe("a save of code", { timeout: 180_000 }, () => {
  it("a task's restarts the worker, and no job is lost or done twice", async () => {
    const task = (n: number) => `
      import { z } from "zod";
      import { defineTask } from "../src/tasks/task.ts";
      export default defineTask(z.object({ n: z.number() }), async ({ n }, { pool }) => {
        for (;;) {
          const { rows } = await pool.query("select from app_private.open_gates where version = ${n}");
          if (rows.length > 0) break;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        await pool.query("insert into app_private.done values ($1, ${n})", [n]);
      });`;
    await dev.query(
      "create table app_private.done (n int, version int); create table app_private.open_gates (version int)",
    );
    await dev.save("tasks/try_out.ts", task(1), /tasks\/try_out\.ts: new worker/);
    await dev.query(
      "select graphile_worker.add_job('try_out', json_build_object('n', n)) from generate_series(1, 40) n",
    );
    const underWay = "select from graphile_worker.jobs where locked_at is not null";
    await until(
      () => dev.query(underWay),
      (jobs) => jobs.length > 0,
      60_000,
    );
    await dev.save("tasks/try_out.ts", task(2), /tasks\/try_out\.ts: new worker/);
    await dev.query("insert into app_private.open_gates values (2)");
    await until(
      () => dev.query("select from app_private.done where version = 2"),
      (done) => done.length > 0,
      60_000,
    );
    await dev.query("insert into app_private.open_gates values (1)");
    const rows = await until(
      () =>
        dev.query<{ n: number; version: number }>(
          "select n, version from app_private.done order by n",
        ),
      (done) => done.length >= 40,
      60_000,
    );
    expect(rows.map(({ n }) => n)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    expect(new Set(rows.map(({ version }) => version))).toEqual(new Set([1, 2]));
    await until(
      () => dev.query(underWay),
      (jobs) => jobs.length === 0,
    );
  });

  it("that never ends to load is given up for the next save", async () => {
    const stuck = 'console.log("It waits"); await new Promise(() => {}); export default 1;';
    await dev.save("tasks/stuck.ts", stuck, /It waits/);
    await dev.save(
      "tasks/stuck.ts",
      "export default async () => {};",
      /code before\n[\s\S]*tasks\/stuck\.ts: new worker/,
    );
  });

  it("of src restarts API and worker without refusing a request; with a mistake in it the old ones go on", async () => {
    let refused = 0;
    let asked = 0;
    let isOver = false;
    const asking = (async () => {
      while (!isOver) {
        asked += 1;
        if (!(await answers(dev.api))) refused += 1;
        await delay(25);
      }
    })();
    const path = "src/graphql/errors.ts";
    const code = await readFile(join(dev.root, path), "utf8");
    await dev.save(path, `${code}\n// changed\n`, /src\/graphql\/errors\.ts: new API and worker/);
    await dev.save(path, `${code}\nconst = 1;\n`, /goes on with the code before/);
    await dev.save(path, code, /src\/graphql\/errors\.ts: new API and worker/);
    isOver = true;
    await asking;
    expect(asked).toBeGreaterThan(20);
    expect(refused).toBe(0);
  });
});

describe("the commands of migrations beside it", { timeout: 180_000 }, () => {
  it("db:commit and db:uncommit take turns with it", async () => {
    const before = dev.running.output().length;
    const notes = `${table("notes")}
      alter table app_public.notes enable row level security;
      create policy select_all on app_public.notes for select to :DATABASE_USER using (true);
      comment on table app_public.notes is 'A note.';
      comment on column app_public.notes.body is 'What it says.';`;
    await dev.save(CURRENT, notes, /changes in the API/);
    expect((await command(dev.root, ["db:commit", "--", "notes"])).code).toBe(0);
    expect((await command(dev.root, ["db:uncommit"])).code).toBe(0);
    await until(
      () => dev.query("select content from graphile_migrate.current where content like '%notes%'"),
      (rows) => rows.length === 1,
    );
    expect(await dev.typeOf("Note")).toBe("Note");
    expect(dev.running.output().slice(before)).not.toMatch(/exclusive lock|ERROR/);
  });

  it("db:reset gives it a new database, in which one can log in and pushes arrive", async () => {
    const before = dev.running.output().length;
    const { output, code } = await npm(dev.root, ["db:reset", "--", "--yes"]);
    expect(output).toContain("`npm run dev` goes on with it");
    expect(code).toBe(0);
    const sent = await until(
      () => dev.query<{ status: string }>("select status from app_public.notification_deliveries"),
      (rows) => rows[0]?.status === "accepted",
      60_000,
    );
    expect(sent).toHaveLength(1);
    expect(await dev.typeOf("Note")).toBe("Note");
    await rm(join(dev.root, CURRENT));
    await dev.save(CURRENT, "drop table if exists app_public.notes;", /was removed/);
    expect(dev.running.output().slice(before)).not.toMatch(/could not start|has ended/);
  });
});

it("Ctrl-C ends all of it with exit 0", { timeout: 30_000 }, async () => {
  const [line] = (await readFile(join(dev.root, ".data/postgres/postmaster.pid"), "utf8")).split(
    "\n",
  );
  const group = dev.running.child.pid as number;
  expect(processesOf(group).length).toBeGreaterThan(2);
  // In a terminal it goes to the whole group, and npm passes it on once more.
  process.kill(-group, "SIGINT");
  expect(await dev.running.ends()).toBe(0);
  await until(
    async () => [...processesOf(group).map(({ pid }) => pid), Number(line)].filter(isAlive),
    (left) => left.length === 0,
  );
  expect(dev.running.output()).not.toMatch(/unhandled|not stopped within/i);
});
