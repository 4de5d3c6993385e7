import { chmod, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { withUser } from "../../src/database/connections.ts";
import { type EmbeddedCluster, startEmbeddedCluster } from "../../src/database/embedded/cluster.ts";
import { command, npm } from "../support/commands.ts";
import { TEST_PASSWORD } from "../support/global-setup.ts";
import { copyOfProject } from "../support/project.ts";
import { until } from "../support/until.ts";

const NOTES = `drop table if exists app_public.notes;
create table app_public.notes (id int primary key, body text);
alter table app_public.notes enable row level security;
create policy select_all on app_public.notes for select to :DATABASE_USER using (true);
grant select on app_public.notes to :DATABASE_USER;
comment on table app_public.notes is $$A person's note.$$;
comment on column app_public.notes.body is $$What it says.$$;
`;

const committed = async (root: string) =>
  (await readdir(join(root, "migrations/committed"))).sort().slice(-1)[0] as string;

describe("on the embedded database", { timeout: 180_000 }, () => {
  let project: Awaited<ReturnType<typeof copyOfProject>>;
  let server: EmbeddedCluster;
  let current: string;
  let blank: string;
  let count: number;
  beforeAll(async () => {
    project = await copyOfProject();
    current = join(project.root, "migrations/current.sql");
    blank = await readFile(current, "utf8");
    count = (await readdir(join(project.root, "migrations/committed"))).length;
    // The commands join it: each of them alone would start and stop it.
    server = await startEmbeddedCluster({
      dataDirectory: join(project.root, ".data"),
      settings: { fsync: "off" },
    });
  });
  afterAll(async () => {
    await server.stop();
    await project.remove();
  });
  const db = (...args: string[]) => command(project.root, args);

  it("db:commit tries it, writes the next numbered file, and leaves current.sql empty but for its header", async () => {
    expect(await db("db:commit", "--", "nothing")).toMatchObject({
      code: 1,
      output: expect.stringContaining("current.sql is empty"),
    });
    await writeFile(current, `${blank}${NOTES}`);
    expect(await db("db:commit")).toMatchObject({
      code: 1,
      output: expect.stringContaining("Say what it does"),
    });
    const done = await npm(project.root, ["db:commit", "--", "Notes of people"]);
    expect(done.output).toMatch(/^migrations\/committed\/\d{6}-notes-of-people\.sql\n/);
    expect(done.code).toBe(0);
    const file = await committed(project.root);
    const path = join(project.root, "migrations/committed", file);
    // Whoever runs the API may read it.
    expect((await stat(path)).mode & 0o777).toBe(0o644);
    const text = await readFile(path, "utf8");
    expect(text).toMatch(
      /^--! Previous: sha1:\w+\n--! Hash: sha1:\w+\n--! Message: Notes of people\n\n/,
    );
    expect(text.split("\n\n").slice(1).join("\n\n")).toBe(NOTES);
    expect(await readFile(current, "utf8")).toBe(blank);
    expect(await readFile(join(project.root, "schema.graphql"), "utf8")).toContain("type Note ");
    const status = await db("db:status");
    expect(status.output).toMatch(
      new RegExp(
        `Committed +${count + 1}, the last is ${file}\nTo be run +nothing\ncurrent.sql +empty`,
      ),
    );
    // Not where what all of it stands on is gone.
    const client = new pg.Client({ connectionString: server.superuserUrl("howdah") });
    await client.connect();
    try {
      await client.query("alter schema app_audiences rename to gone");
      expect((await db("db:status")).output).toMatch(
        /^Missing +app_audiences, which Howdah itself uses: npm run db:reset/m,
      );
      await client.query("alter schema gone rename to app_audiences");
    } finally {
      await client.end();
    }
  });

  it("db:commit shows what fails, what does not run twice, and what breaks without saying so; nothing changes then", async () => {
    const refused = async (text: string, message: RegExp) => {
      await writeFile(current, text);
      const before = await committed(project.root);
      const { code, output } = await db("db:commit", "--", "no");
      expect(output).toMatch(message);
      expect(code).toBe(1);
      expect(await readFile(current, "utf8")).toBe(text);
      expect(await committed(project.root)).toBe(before);
    };
    await refused(`${blank}select 1;\nselekt 2;\n`, /current\.sql:\d+:1\n[\s\S]+\| \^/);
    await refused(
      "create table app_public.once (id int primary key);",
      /not a second time[\s\S]+:1:1\n/,
    );
    await refused("begin;\nselect 1;\ncommit;\n", /current\.sql:1:1\n[\s\S]+one transaction/);
    await refused(
      "comment on table app_public.items is '@name user';",
      /cannot build a schema[\s\S]+hint: Give one of them another name/,
    );
    await refused(
      "drop table if exists app_public.notes;\nalter table app_private.operators add column if not exists reason text;\nalter table app_private.operators alter reason set not null;",
      /clients: Type 'Note' was removed\n[\s\S]+the old API: required app_private\.operators\.reason[\s\S]+-- breaking: why/,
    );
    await refused(
      "alter table app_public.notes add column if not exists written_at timestamp;",
      /notes\.written_at \(timestamp_without_zone[\s\S]+would refuse it/,
    );
    await writeFile(
      current,
      `${blank}-- breaking: nobody wrote any\ndrop table if exists app_public.notes;\n`,
    );
    expect((await db("db:commit", "--", "no notes")).code).toBe(0);
    const text = await readFile(
      join(project.root, "migrations/committed", await committed(project.root)),
      "utf8",
    );
    expect(text).toMatch(/\n\n-- breaking: nobody wrote any\n/);
  });

  it("db:uncommit gives it back, message included; db:commit then makes the same file", async () => {
    const file = await committed(project.root);
    const path = join(project.root, "migrations/committed", file);
    const before = await readFile(path, "utf8");
    const { code, output } = await db("db:uncommit");
    expect(output).toContain(`${file} is migrations/current.sql again`);
    expect(code).toBe(0);
    expect(await readFile(current, "utf8")).toMatch(/^--! Message: no notes\n\n-- breaking: /);
    expect(await readFile(join(project.root, "schema.graphql"), "utf8")).toContain("type Note ");
    expect(await db("db:uncommit")).toMatchObject({
      code: 1,
      output: expect.stringContaining("not empty"),
    });
    expect((await db("db:commit")).code).toBe(0);
    expect(await readFile(path, "utf8")).toBe(before);
  });

  it("db:uncommit leaves --! no-transaction in front, where alone it counts, and db:commit the message where it was", async () => {
    const text =
      "--! no-transaction\ndrop index concurrently if exists app_public.no_such_index;\n";
    await writeFile(current, text);
    expect((await db("db:commit", "--", "no index")).code).toBe(0);
    const path = join(project.root, "migrations/committed", await committed(project.root));
    const before = await readFile(path, "utf8");
    expect((await db("db:uncommit")).code).toBe(0);
    expect(await readFile(current, "utf8")).toMatch(
      /^--! no-transaction\n--! Message: no index\ndrop index/,
    );
    expect((await db("db:commit")).code).toBe(0);
    expect(await readFile(path, "utf8")).toBe(before);
  });

  it("db:commit takes nothing from who saves while it runs, and commits nothing twice", async () => {
    const first = "create schema if not exists one;\n";
    const second = `${first}${first.replace("one", "two")}`;
    await writeFile(current, first);
    const committing = db("db:commit", "--", "one");
    const client = new pg.Client({ connectionString: server.superuserUrl() });
    await client.connect();
    await until(
      () => client.query("select from pg_database where datname = 'howdah_shadow'"),
      ({ rowCount }) => rowCount === 1,
      60_000,
    );
    await client.end();
    await writeFile(current, second);
    const done = await committing;
    expect(done.output).toMatch(/-one\.sql\n.+was saved meanwhile, and stays/);
    expect(done.code).toBe(0);
    expect(await readFile(current, "utf8")).toBe(second);

    const both = await Promise.all([db("db:commit", "--", "two"), db("db:commit", "--", "two")]);
    expect(both.map(({ code }) => code).sort()).toEqual([0, 1]);
    expect(both.find(({ code }) => code === 1)?.output).toContain("current.sql is empty");
    expect(await readFile(current, "utf8")).toBe(blank);

    // As a commit leaves it that is killed once its file is there.
    await writeFile(current, second);
    const file = await committed(project.root);
    expect(file).toMatch(/-two\.sql$/);
    expect(await db("db:commit", "--", "two")).toMatchObject({
      code: 1,
      output: expect.stringContaining(`migrations/committed/${file} has all that is in`),
    });

    // As after a checkout of a branch that has not got it.
    const path = join(project.root, "migrations/committed", file);
    await rename(path, `${path}.away`);
    await writeFile(current, first.replace("one", "three"));
    const ahead = await db("db:commit", "--", "three");
    expect(ahead.output).toMatch(/has run \d{6}\.sql, and .+no such file here/);
    expect(ahead.code).toBe(1);
    await rename(`${path}.away`, path);
    await writeFile(current, Buffer.from("-- caf\xe9", "latin1"));
    expect((await db("db:commit", "--", "three")).output).toContain("current.sql:1:7");
    await writeFile(current, blank);
  });

  it("a committed file that was edited is refused by migrate, dev and status, with its name and what to do", async () => {
    const file = `migrations/committed/${await committed(project.root)}`;
    const path = join(project.root, file);
    const text = await readFile(path, "utf8");
    await chmod(path, 0o644);
    await writeFile(path, `${text}select 1;\n`);
    for (const script of ["migrate", "db:status", "dev"]) {
      const { code, output } = await command(project.root, [script], { PORT: "0", OPS_PORT: "0" });
      expect(output).toContain(`${file} is not what was committed`);
      expect(output).toContain(`git checkout -- ${file}`);
      expect(code).toBe(1);
    }
    await writeFile(path, text);
  });

  it("db:reset says what it drops, asks, and refuses in production", async () => {
    const asked = await db("db:reset");
    expect(asked.output).toMatch(
      /^This drops the database howdah \(embedded, \.data\): .+, 0 users\.\n.+--yes/,
    );
    expect(asked.code).toBe(1);
    // What could not be run in the new database is told while the old one is there.
    await writeFile(current, "select 1;\ncreate table broken (;");
    const refused = await db("db:reset", "--", "--yes");
    expect(refused.output).toMatch(/^Nothing was done: .+\nmigrations\/current\.sql:2:\d+\n/);
    expect(refused.code).toBe(1);
    await writeFile(current, "select 1;\ncommit;");
    expect((await db("db:reset", "--", "--yes")).output).toMatch(/current\.sql:2:1\n/);
    const client = new pg.Client({ connectionString: server.superuserUrl("howdah") });
    await client.connect();
    expect((await client.query("select from app_public.users")).rowCount).toBe(0);
    await client.end();
    await writeFile(current, blank);
    expect(await db("db:reset", "--", "--yes")).toMatchObject({
      code: 0,
      output: expect.stringContaining("is new, and has run all migrations"),
    });
  });
});

describe("on any PostgreSQL", { timeout: 180_000 }, () => {
  const name = `commands_${process.pid}`;
  let root: Awaited<ReturnType<typeof copyOfProject>>;
  let superuser: URL;
  let url: string;
  beforeAll(async () => {
    root = await copyOfProject();
    superuser = new URL(inject("superuserUrl"));
    const client = new pg.Client({ connectionString: superuser.href });
    await client.connect();
    await client.query(`create database ${name} owner howdah_owner`);
    await client.query(`alter database ${name} set timezone = 'Asia/Kolkata'`);
    await client.end();
    const own = new URL(superuser);
    own.pathname = `/${name}`;
    url = withUser(own.href, "howdah_owner", TEST_PASSWORD);
  });
  afterAll(async () => {
    const client = new pg.Client({ connectionString: superuser.href });
    await client.connect();
    await client.query(`drop database ${name} with (force)`);
    await client.end();
    await root.remove();
  });

  it("it is DATABASE_URL, with ROOT_DATABASE_URL where the owner may not create databases", async () => {
    const environment = {
      DATABASE_URL: url,
      AUTHENTICATOR_DATABASE_URL: withUser(url, "howdah_authenticator", TEST_PASSWORD),
    };
    await writeFile(join(root.root, "migrations/current.sql"), NOTES);
    const refused = await command(root.root, ["db:commit", "--", "notes"], environment);
    expect(refused.output).toMatch(/permission denied.+Set ROOT_DATABASE_URL/);
    const env = { ...environment, ROOT_DATABASE_URL: superuser.href };
    const done = await command(root.root, ["db:commit", "--", "notes"], env);
    expect(done.output).toMatch(/-notes\.sql\n/);
    const reset = await command(root.root, ["db:reset", "--", "--yes"], env);
    expect(reset.output).toMatch(/is new, and has run all migrations/);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    expect((await client.query("show timezone")).rows).toEqual([{ TimeZone: "Asia/Kolkata" }]);
    await client.end();
    for (const script of ["db:commit", "db:reset"]) {
      const production = { ...env, NODE_ENV: "production" };
      const { code, output } = await command(
        root.root,
        [script, ...(script === "db:reset" ? ["--yes"] : [])],
        production,
      );
      expect(output).toContain("NODE_ENV is production");
      expect(code).toBe(1);
    }
  });
});
