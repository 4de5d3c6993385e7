import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { applyCurrentMigration } from "../../src/development/current-migration.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "howdah-current-"));
  await mkdir(join(root, "migrations"));
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(async () => {
  database = await createTestDatabase();
  return () => database.drop();
});

/** A save, and what is said of it. */
async function said(text: string | Buffer, signal?: AbortSignal): Promise<string> {
  await writeFile(join(root, "migrations/current.sql"), text);
  return applyCurrentMigration(database.ownerUrl, root, signal).then(
    () => "applied",
    (error) => error.message,
  );
}
const columnOf = async (name: string) =>
  (
    await database.owner.query("select from pg_attribute where attname = $1 and not attisdropped", [
      name,
    ])
  ).rowCount;
const add = (name: string) => `alter table app_public.items add if not exists ${name} text;\n`;

it("a statement that ends its own connection is shown with its line, and the next save is applied", async () => {
  expect(await said(`${add("mark")}select pg_terminate_backend(pg_backend_pid());`)).toMatch(
    /^migrations\/current\.sql:2:1\n[\s\S]+57P01: a statement ends the connection/,
  );
  expect(await columnOf("mark")).toBe(0);
  expect(await said(add("mark"))).toBe("applied");
});

it("a save is called back by the next one: what runs is ended, and nothing of it stays", async () => {
  const controller = new AbortController();
  const first = said(`${add("mark")}select pg_sleep(60);`, controller.signal);
  await until(
    async () =>
      (
        await database.owner.query(
          "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
        )
      ).rowCount,
    (count) => count === 1,
  );
  controller.abort();
  expect(await first).toBe("A newer save takes its place.");
  expect(await columnOf("mark")).toBe(0);
  expect(await said(add("mark"), controller.signal)).toBe("A newer save takes its place.");
  expect(await said(add("mark"))).toBe("applied");
});

it("where PostgreSQL is away, that is said, and no line of the file", async () => {
  const { ownerUrl } = database;
  database.ownerUrl = Object.assign(new URL(ownerUrl), { port: "1" }).href;
  expect(await said("select 1;")).toMatch(
    /^PostgreSQL does not answer \(ECONNREFUSED\): migrations\/current\.sql is not applied\./,
  );
  database.ownerUrl = ownerUrl;
});

it("what is not UTF-8 is refused with its place, and nothing of it is run", async () => {
  const latin1 = Buffer.from(`${add("mark")}-- caf\xe9\n`, "latin1");
  expect(await said(latin1)).toMatch(/^migrations\/current\.sql:2:7\n[\s\S]+not UTF-8/);
  expect(await columnOf("mark")).toBe(0);
  expect(await said(`${add("mark")}comment on column app_public.items.mark is 'café';`)).toBe(
    "applied",
  );
});

it("a file that takes away what Howdah uses is told so, with the way back", async () => {
  const told = await said("select 1;\ndrop function app_private.sync_live_triggers();");
  expect(told).toContain("function app_private.sync_live_triggers() does not exist");
  expect(told).toContain("npm run db:reset");
  expect(told).not.toMatch(/current\.sql:\d/);
});

it("nothing is applied on a database that has run more than there are files", async () => {
  await database.owner.query(
    "insert into graphile_migrate.migrations (hash, filename) values ('sha1:later', '999999.sql')",
  );
  expect(await said(add("mark"))).toMatch(/has run 999999\.sql, and .+no such file/);
  expect(await columnOf("mark")).toBe(0);
});

it("committed migrations that have not been run come first", async () => {
  const last = "select max(filename) as last from graphile_migrate.migrations";
  const { rows } = await database.owner.query(last);
  await database.owner.query("delete from graphile_migrate.migrations where filename = $1", [
    rows[0].last,
  ]);
  expect(await said(add("mark"))).toBe("applied");
  expect((await database.owner.query(last)).rows).toEqual(rows);
});
