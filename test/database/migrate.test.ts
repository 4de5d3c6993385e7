import { randomBytes } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { withUser } from "../../src/database/connections.ts";
import { migrateDatabase } from "../../src/database/migrate.ts";
import { scramVerifier } from "../../src/database/scram.ts";
import { TEST_PASSWORD } from "../support/global-setup.ts";
import { copyOfProject } from "../support/project.ts";
import { until } from "../support/until.ts";

const logger = pino({ level: "silent" });
const databases: string[] = [];
let admin: pg.Client;

beforeAll(async () => {
  admin = new pg.Client({ connectionString: inject("superuserUrl") });
  await admin.connect();
});
afterAll(async () => {
  for (const name of databases) {
    // graphile-migrate keeps its connections for a moment, and takes it ill when they are cut.
    await until(
      () => admin.query("select from pg_stat_activity where datname = $1", [name]),
      ({ rowCount }) => rowCount === 0,
    );
    await admin.query(`drop database ${name}`);
  }
  await admin.end();
});

async function emptyDatabase(): Promise<string> {
  const name = `migrate_${randomBytes(6).toString("hex")}`;
  await admin.query(`create database ${name} owner howdah_owner`);
  databases.push(name);
  const url = new URL(inject("superuserUrl"));
  url.pathname = `/${name}`;
  return withUser(url.href, "howdah_owner", TEST_PASSWORD);
}

async function migrations(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(
    "select count(*)::int as count from graphile_migrate.migrations",
  );
  await client.end();
  return rows[0].count;
}

describe("migrating", { timeout: 60_000 }, () => {
  it("two at once take turns, and a third time changes nothing", async () => {
    const databaseUrl = await emptyDatabase();
    const migrate = () =>
      migrateDatabase({ databaseUrl, authenticatorPassword: undefined, logger });
    await Promise.all([migrate(), migrate()]);
    const committed = (await readdir("migrations/committed")).length;
    expect(await migrations(databaseUrl)).toBe(committed);
    await migrate();
    expect(await migrations(databaseUrl)).toBe(committed);
  });

  it("one that fails half-way is rolled back whole, and runs again once it is mended", async () => {
    const { root, remove } = await copyOfProject();
    const { migrateDatabase: migrateCopy } = (await import(
      join(root, "src/database/migrate.ts")
    )) as { migrateDatabase: typeof migrateDatabase };
    const databaseUrl = await emptyDatabase();
    const path = join(root, "migrations/current.sql");
    await writeFile(path, "create table app_public.halves (id int); select 1 / 0;");
    const migrate = () =>
      migrateCopy({ databaseUrl, authenticatorPassword: undefined, logger, current: true });
    await expect(migrate()).rejects.toMatchObject({ code: "22012" });
    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    const exists = async () =>
      (await client.query("select to_regclass('app_public.halves') is not null as yes")).rows[0]
        .yes;
    expect(await exists()).toBe(false);
    await writeFile(path, "create table app_public.halves (id int);");
    await migrate();
    expect(await exists()).toBe(true);
    await client.end();
    await remove();
  });

  it("a committed file that was changed is refused, run before or not, by a line that says what to do", async () => {
    const { root, remove } = await copyOfProject();
    const { migrateDatabase: migrateCopy } = (await import(
      join(root, "src/database/migrate.ts")
    )) as { migrateDatabase: typeof migrateDatabase };
    const path = join(root, "migrations/committed/000007-items.sql");
    await writeFile(path, `${await readFile(path, "utf8")}\nselect 1;\n`, { mode: 0o644 });
    await expect(
      migrateCopy({ databaseUrl: await emptyDatabase(), authenticatorPassword: undefined, logger }),
    ).rejects.toThrow(
      /^migrations\/committed\/000007-items\.sql is not what was committed: .+ \(git checkout -- .+current\.sql\.$/,
    );
    await remove();
  });

  it("stores the authenticator's password as a verifier that PostgreSQL accepts", async () => {
    const password = randomBytes(12).toString("base64url");
    const role = `scram_${randomBytes(4).toString("hex")}`;
    await admin.query(`create role ${role} login password '${scramVerifier(password)}'`);
    const client = new pg.Client({
      connectionString: withUser(inject("superuserUrl"), role, password),
    });
    await client.connect();
    await client.end();
    const { rows } = await admin.query("select rolpassword from pg_authid where rolname = $1", [
      role,
    ]);
    expect(rows[0].rolpassword).toMatch(/^SCRAM-SHA-256\$4096:/);
    await admin.query(`drop role ${role}`);
  });
});
