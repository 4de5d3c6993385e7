import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { describe, expect, it, onTestFinished } from "vitest";
import { ensureOwner, withUser } from "../../src/database/connections.ts";
import { migrateDatabase } from "../../src/database/migrate.ts";
import { TEST_PASSWORD } from "../support/global-setup.ts";
import { runEntry } from "../support/processes.ts";
import { queryOnce } from "../support/query-once.ts";
import { startSystemPostgres, systemBinaries } from "../support/system-postgres.ts";

const RIGHTS = `
  select c.oid::regclass::text as name, (select array_agg(a::text order by a::text) from unnest(c.relacl) a) as rights
  from pg_class c where c.relnamespace::regnamespace::text ~ '^app_'
  union all
  select p.oid::regprocedure::text, (select array_agg(a::text order by a::text) from unnest(p.proacl) a)
  from pg_proc p where p.pronamespace::regnamespace::text ~ '^app_'
  union all
  select p.tablename || '.' || p.policyname, array[p.cmd, p.roles::text, p.qual, p.with_check] from pg_policies p
  order by 1`;

/** How many rows each table of ours and of the queue has; and the rights, policies included. */
async function contentOf(
  url: string,
): Promise<{ rows: Record<string, number>; rights: unknown[] }> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `select c.oid::regclass::text as name from pg_class c
       where c.relkind = 'r' and c.relnamespace::regnamespace::text ~ '^(app_|graphile_)'`,
    );
    const rows: Record<string, number> = {};
    for (const { name } of tables) {
      const counted = await client.query(`select count(*)::int from ${name}`);
      rows[name] = counted.rows[0].count;
    }
    return { rows, rights: (await client.query(RIGHTS)).rows };
  } finally {
    await client.end();
  }
}

describe.skipIf(systemBinaries === undefined)("a dump", () => {
  it("comes back whole in another database, rights included; migrate has nothing to do there, and the queue goes on", {
    timeout: 120_000,
  }, async () => {
    const server = await startSystemPostgres();
    onTestFinished(() => server.stop());
    const folder = await mkdtemp(join(tmpdir(), "howdah-dump-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await ensureOwner(server.superuserUrl, TEST_PASSWORD);
    const inDatabase = (name: string) => {
      const url = new URL(withUser(server.superuserUrl, "howdah_owner", TEST_PASSWORD));
      url.pathname = `/${name}`;
      return url.href;
    };
    const [from, to] = [inDatabase("howdah"), inDatabase("restored")];
    await migrateDatabase({
      databaseUrl: from,
      authenticatorPassword: TEST_PASSWORD,
      logger: pino({ level: "silent" }),
    });
    await queryOnce(
      from,
      `with person as (insert into app_public.users (first_name) select 'P' from generate_series(1, 20) returning id),
         item as (insert into app_public.items (user_id, title) select id, 'kept' from person)
       insert into app_public.device_tokens (user_id, token, device_type) select id, 'phone-' || id, 'ios' from person`,
    );
    await queryOnce(
      from,
      "select app_private.notify(array_agg(id), 'e', 'm') from app_public.users",
    );
    await queryOnce(server.superuserUrl, "create database restored owner howdah_owner");

    const file = join(folder, "howdah.dump");
    const script = (name: string, url: string) =>
      execFileSync("sh", [`deploy/backup/${name}.sh`, file], {
        stdio: "pipe",
        env: { PATH: `${systemBinaries}:${process.env.PATH}`, DATABASE_URL: url },
      });
    script("dump", from);
    script("restore", to);

    const [before, after] = [await contentOf(from), await contentOf(to)];
    expect(after).toEqual(before);
    expect(after.rows["app_public.items"]).toBe(20);
    expect(after.rows["graphile_worker._private_jobs"]).toBeGreaterThan(0);
    const migrate = runEntry("src/migrate.ts", {
      DATABASE_URL: to,
      AUTHENTICATOR_DATABASE_URL: withUser(to, "howdah_authenticator", TEST_PASSWORD),
    });
    expect(await migrate.ends()).toBe(0);
    expect(await contentOf(to)).toEqual(before);
  });
});
