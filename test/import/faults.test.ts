import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { everything, importFrom } from "../support/import.ts";
import {
  createTemplateDatabase,
  TEMPLATE_SCHEMA,
  type TemplateDatabase,
} from "../support/template.ts";

let database: TestDatabase;
let before: unknown;

beforeAll(async () => {
  database = await createTestDatabase();
  before = await everything(database);
});
afterAll(() => database.drop());

/** What it says; that nothing was changed is made sure of. */
async function refusal(from: string): Promise<string> {
  const message = await importFrom(from, database).then(
    () => "it was imported",
    (error: Error) => `${error.name}: ${error.message}`,
  );
  expect(message).not.toContain("\n");
  expect(await everything(database)).toEqual(before);
  return message;
}

/** The URL of the test cluster with some of it changed. */
function cluster(change: (url: URL) => void): string {
  const url = new URL(inject("superuserUrl"));
  change(url);
  return url.href;
}

describe("an import that cannot begin says so in a line and changes nothing:", () => {
  it("a URL that is none", async () => {
    expect(await refusal("mysql://root:hunter2@localhost/app")).toBe(
      "ImportError: --from must be a URL like postgres://user:password@host:5432/database.",
    );
  });

  it("no server, no such database, a wrong password", async () => {
    const { host } = new URL(inject("superuserUrl"));
    const nobody = cluster((url) => {
      url.port = "1";
    });
    expect(await refusal(nobody)).toMatch(/at \S+:1 is not reachable \(ECONNREFUSED\)\. Check/);
    const missing = cluster((url) => {
      url.pathname = "/nowhere";
    });
    expect(await refusal(missing)).toContain(`at ${host} does not exist.`);
    const stranger = cluster((url) => {
      url.password = "hunter2";
    });
    const said = await refusal(stranger);
    expect(said).toContain(`at ${host} refuses this user or password.`);
    expect(said).not.toContain("hunter2");
    const silent = cluster((url) => {
      url.password = "";
    });
    expect(await refusal(silent)).toContain(`at ${host} asks for a password.`);
  });

  it("an empty database, and Howdah's own", async () => {
    const empty = await createTemplateDatabase("select 1");
    expect(await refusal(empty.url)).toBe(
      "ImportError: this is not the template's database: there is no table users, there is no table refresh_tokens, there is no table device_tokens, there is no table notifications, there is no table oauth2_credentials, there is no table items.",
    );
    await empty.drop();
    expect(await refusal(database.ownerUrl)).toContain("there is no table users");
  });

  it("columns that are missing or hold something else", async () => {
    const other = await createTemplateDatabase(`${TEMPLATE_SCHEMA}
      alter table users drop phone;
      alter table items alter id type bigint, drop created_at`);
    expect(await refusal(other.url)).toBe(
      "ImportError: this is not the template's database: users.phone is missing, items.id is bigint, items.created_at is missing.",
    );
    await other.drop();
  });

  it("a user who may not read", async () => {
    const other = await createTemplateDatabase();
    const stranger = new URL(other.url);
    stranger.username = "howdah_owner";
    stranger.password = "test";
    expect(await refusal(stranger.href)).toContain("lets this user not read all of its tables.");
    await other.pool.query("grant select on all tables in schema public to howdah_owner");
    expect((await importFrom(stranger.href, database, true)).tables.users.rows).toBe(0);
    await other.drop();
  });
});

describe("an import that fails on the way changes nothing:", () => {
  let template: TemplateDatabase;
  beforeEach(async () => {
    template = await createTemplateDatabase();
    await template.pool.query(`
      insert into users (first_name, email, password_hash)
      select 'Person', 'person' || n || '@example.com', '$2b$04$' || repeat('a', 53)
      from generate_series(1, 2500) n;
      insert into items (user_id, title) select n, 'Item ' || n % 2499 from generate_series(1, 2500) n`);
  });
  afterEach(() => template.drop());

  it("a row that an index of your own refuses", async () => {
    await database.owner.query(
      "create unique index items_title_unique on app_public.items (user_id, (title = 'Item 0'))",
    );
    await template.pool.query("insert into items (user_id, title) values (3, 'Another')");
    expect(await refusal(template.url)).toBe(
      "ImportError: the import failed, and nothing was changed: PostgreSQL refused it with 23505 (table items, items_title_unique).",
    );
    await database.owner.query("drop index app_public.items_title_unique");
  });

  it("the old database goes away meanwhile", async () => {
    await template.pool.query(`
      alter table items rename to old_items;
      create view items as select i.* from old_items i
      where i.id < 2000 or pg_terminate_backend(pg_backend_pid())`);
    expect(await refusal(template.url)).toMatch(
      /^ImportError: the old database at \S+ cannot be read/,
    );
  });

  it("another import is under way", async () => {
    const other = new pg.Client({ connectionString: database.ownerUrl });
    await other.connect();
    await other.query("begin; select pg_advisory_xact_lock(hashtextextended('import', 0))");
    expect(await refusal(template.url)).toBe("ImportError: another import is under way.");
    await other.end();
  });

  it("somebody writes to Howdah's tables and does not end", async () => {
    const other = new pg.Client({ connectionString: database.ownerUrl });
    await other.connect();
    await other.query("begin; lock table app_public.items in row exclusive mode");
    expect(await refusal(template.url)).toBe(
      "ImportError: Howdah's tables are in use. Stop API and worker, or try again.",
    );
    await other.end();
  });

  it("Howdah's database has not been migrated", async () => {
    const bare = await createTemplateDatabase("select 1");
    await expect(importFrom(template.url, { ...database, ownerUrl: bare.url })).rejects.toThrow(
      "Howdah's database is not up to date. Run `npm run migrate` first.",
    );
    await bare.drop();
  });
});

describe("a template that was changed", () => {
  it("is moved through views that have the template's names and columns", async () => {
    const own = await createTestDatabase();
    const template = await createTemplateDatabase(`${TEMPLATE_SCHEMA}
      alter table items rename title to name;
      alter table items rename to articles;
      create schema howdah;
      create view howdah.items as
        select id, user_id, name as title, description, data, is_active, created_at, updated_at
        from articles;
      insert into users (first_name) values ('Person');
      insert into articles (user_id, name) values (1, 'By another name')`);
    const report = await importFrom(`${template.url}?options=-csearch_path%3Dhowdah,public`, own);
    expect(report.tables.items).toMatchObject({ rows: 1, moved: 1 });
    expect(report.notMoved).toEqual(["articles"]);
    await template.drop();
    await own.drop();
  });
});

describe("rules of your own", () => {
  it("hold for imported rows, and triggers of your own tell nobody", async () => {
    const own = await createTestDatabase();
    await own.owner.query(`
      alter table app_public.items
        add constraint items_no_lead check (title <> 'Lead'), add column is_heavy boolean not null default false,
        add constraint items_light check (not is_heavy or title = 'Lead');
      create function app_private.tg_items__push() returns trigger language plpgsql as $$
      begin
        perform app_private.notify(array[new.user_id], 'item.made', new.title);
        return null;
      end $$;
      create trigger _500_push after insert on app_public.items
        for each row execute function app_private.tg_items__push();
      create trigger _500_off after insert on app_public.items
        for each row execute function app_private.tg_items__push();
      alter table app_public.items disable trigger _500_off`);
    const template = await createTemplateDatabase();
    await template.pool.query(`
      insert into users (first_name) values ('Person');
      insert into items (user_id, title) values (1, 'Lead'), (1, 'Wool')`);
    const report = await importFrom(template.url, own);
    expect(report.tables.items).toMatchObject({ moved: 1, skippedFor: { items_no_lead: [1] } });
    const { rows } = await own.owner.query(
      `select t.tgname, t.tgenabled, (select count(*)::int from app_public.notifications) as notifications
       from pg_trigger t where t.tgname in ('_500_push', '_500_off') order by 1`,
    );
    expect(rows).toEqual([
      { tgname: "_500_off", tgenabled: "D", notifications: 0 },
      { tgname: "_500_push", tgenabled: "O", notifications: 0 },
    ]);
    await template.drop();
    await own.drop();
  });
});
