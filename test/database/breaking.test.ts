import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterEach, describe, expect, inject, it } from "vitest";
import { unannouncedBreaks } from "../../scripts/check-migrations.ts";
import { withUser } from "../../src/database/connections.ts";
import { isAnnounced } from "../../src/development/breaking.ts";
import { lostNeeds } from "../../src/development/needs.ts";
import { TEST_PASSWORD } from "../support/global-setup.ts";
import { withMigration } from "../support/next-migration.ts";

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const work of cleanUp.splice(0).reverse()) await work();
});

async function emptyDatabase() {
  const name = `breaking_${randomBytes(6).toString("hex")}`;
  const admin = new pg.Client({ connectionString: inject("superuserUrl") });
  await admin.connect();
  await admin.query(`create database ${name} owner howdah_owner`);
  cleanUp.push(async () => {
    await admin.query(`drop database ${name} with (force)`);
    await admin.end();
  });
  const url = new URL(inject("superuserUrl"));
  url.pathname = `/${name}`;
  return {
    ownerUrl: withUser(url.href, "howdah_owner", TEST_PASSWORD),
    authenticatorUrl: withUser(url.href, "howdah_authenticator", TEST_PASSWORD),
    authenticatorPassword: TEST_PASSWORD,
  };
}

async function judge(body: string) {
  const next = await withMigration(body);
  cleanUp.push(next.remove);
  return unannouncedBreaks({ ...(await emptyDatabase()), ...next });
}

// Those of ours are judged by `npm run check`.
describe("a committed migration", { timeout: 120_000 }, () => {
  it("that takes a field from clients is found", async () => {
    const [found] = await judge("alter table app_public.items drop column description cascade;");
    expect(found).toMatch(/-next\.sql breaks/);
    expect(found).toContain("clients: Field 'description' was removed from object type 'Item'");
    expect(found).toContain("the old API: column app_public.items.description text is gone");
  });

  it("that only adds is fine, and one that announces what it breaks", async () => {
    expect(
      await judge(`
        create table app_public.badges (id int primary key, title text not null);
        alter table app_public.items add column colour text not null default 'red';
        create index on app_public.items (title);
        create or replace function app_public.greeting() returns text language sql stable as 'select 1::text';`),
    ).toEqual([]);
    expect(
      await judge(
        "-- breaking: nobody reads it\nalter table app_public.items drop column description cascade;",
      ),
    ).toEqual([]);
  });

  it("that hurts the old API only, not its clients, is found", async () => {
    const [found] = await judge(`
      drop function app_private.verify_session(int, int, text);
      create function app_private.verify_session(int, int, text, boolean default true) returns boolean
        language sql stable as 'select true';
      alter table app_private.operators add column reason text not null;
      revoke usage on schema app_public from :DATABASE_OPERATOR, :DATABASE_USER;
      revoke update (title) on app_public.items from :DATABASE_USER;`);
    expect(found).toMatch(/function app_private\.verify_session\(.+ is gone/);
    expect(found).toContain("required app_private.operators.reason: old inserts do not give it");
    expect(found).toContain("update of app_public.items.title for howdah_user is gone");
    expect(found).toContain("usage on schema app_public for howdah_user is gone");
  });
});

it("a new table's required columns concern nobody yet", () => {
  expect(lostNeeds([], ["table app_public.a", "required app_public.a.b"])).toEqual([]);
  expect(
    lostNeeds(["table app_public.a"], ["table app_public.a", "required app_public.a.b"]),
  ).toHaveLength(1);
});

it("the announcement is the first line below graphile-migrate's header, with a reason", () => {
  expect(isAnnounced("--! Message: a\n\n-- breaking: why\nselect 1;")).toBe(true);
  expect(isAnnounced("-- breaking:\nselect 1;")).toBe(false);
  expect(isAnnounced("select 1;\n-- breaking: why")).toBe(false);
});
