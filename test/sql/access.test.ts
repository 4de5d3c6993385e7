import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessMatrix } from "../../src/access/access-matrix.ts";
import { readable } from "../../src/access/rows.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  // The suite's own (support/secrets.ts).
  await database.owner.query("drop schema kept cascade");
});
afterAll(() => database.drop());

async function matrix(): Promise<string> {
  const client = await database.owner.connect();
  try {
    return await accessMatrix(client);
  } finally {
    client.release();
  }
}

async function change(sql: string): Promise<{ gone: string[]; come: string[] }> {
  const before = (await matrix()).split("\n");
  await database.owner.query(sql);
  const after = (await matrix()).split("\n");
  return {
    gone: before.filter((line) => !after.includes(line)),
    come: after.filter((line) => !before.includes(line)),
  };
}

describe("migrations/access.md", () => {
  it("is what the migrations give", async () => {
    expect(
      await matrix(),
      "migrations/access.md is not what the migrations give: run `npm run db:access`, see who gains or loses what, and commit it with them",
    ).toBe(await readFile("migrations/access.md", "utf8"));
  });
});

describe("the access matrix", () => {
  it("shows what a new table lets whom do, a line a command", async () => {
    const { gone, come } = await change(`
      create table app_public.jottings (id int primary key, user_id int, body text, pinned boolean);
      alter table app_public.jottings enable row level security;
      grant select on app_public.jottings to howdah_anonymous, howdah_user;
      grant insert (body, pinned), update (pinned) on app_public.jottings to howdah_user;
      grant truncate on app_public.jottings to howdah_operator;
      create policy select_all on app_public.jottings for select to public using (true);
      create policy select_body on app_public.jottings as restrictive for select to howdah_user
        using (body is not null or body = 'a|b');
      create policy insert_own on app_public.jottings for insert to howdah_user
        with check (user_id = (select app_public.current_user_id()));
      create policy update_own on app_public.jottings for update to howdah_user
        using (user_id = (select app_public.current_user_id())) with check (not pinned)`);
    expect(gone).toEqual([]);
    expect(come).toEqual([
      "| app_public.jottings | select | howdah_anonymous, howdah_operator, howdah_user: all | select_all (public): every row; and only **restrictive** select_body (howdah_user): `(body IS NOT NULL) OR (body = 'a\\|b'::text)` |",
      "| app_public.jottings | insert | howdah_operator, howdah_user: body, pinned | insert_own (howdah_user): `user_id = app_public.current_user_id()` |",
      "| app_public.jottings | update | howdah_operator, howdah_user: pinned | update_own (howdah_user): `user_id = app_public.current_user_id()`, then `NOT pinned` |",
      "| app_public.jottings | delete | nobody | |",
      "| app_public.jottings | truncate | howdah_operator: all | every row: policies do not hold it |",
    ]);
  });

  it("changes in one line where one grant does", async () => {
    expect(await change("grant update (body) on app_public.jottings to howdah_operator")).toEqual({
      gone: [expect.stringMatching(/jottings \| update \| howdah_operator, howdah_user: pinned/)],
      come: [
        expect.stringMatching(
          /jottings \| update \| howdah_operator: body, pinned; howdah_user: pinned/,
        ),
      ],
    });
  });

  it("says where nothing holds rows back", async () => {
    const { come } = await change(`
      create table app_public.open (id int);
      grant select on app_public.open to public;
      create view app_public.leaks as select * from app_public.jottings;
      create view app_public.fair with (security_invoker = 'T') as select * from app_public.jottings;
      create table app_public.closed (id int);
      alter table app_public.closed enable row level security;
      grant select on app_public.leaks, app_public.fair, app_public.closed to howdah_user`);
    expect(come.filter((line) => / select /.test(line))).toEqual([
      "| app_public.closed | select | howdah_operator, howdah_user: all | no row: there is no policy |",
      "| app_public.fair (view) | select | howdah_operator, howdah_user: all | as its tables let the caller |",
      "| app_public.leaks (view) | select | howdah_operator, howdah_user: all | **all that it shows**: as its owner |",
      "| app_public.open | select | public: all | **every row**: row-level security is off |",
    ]);
  });

  it("shows who may execute a function, and with whose rights it runs", async () => {
    const { come } = await change(`
      create function app_public.reckless(a int, out b int) language sql security definer as 'select 1';
      grant execute on function app_public.reckless(int) to public;
      create function app_private.unseen() returns int language sql as 'select 1';
      create function app_hidden.careful() returns int language sql as 'select 1';
      grant execute on function app_hidden.careful() to howdah_anonymous`);
    expect(come).toEqual([
      "| app_hidden.careful() | howdah_anonymous | who calls it |",
      "| app_public.reckless(integer) | public | its owner: **security definer** |",
    ]);
  });

  it("shows what roles are and become", async () => {
    expect(await matrix()).toContain(
      "| howdah_authenticator | logs in | | howdah_anonymous, howdah_operator, howdah_user | app_private, public |",
    );
  });
});

describe("an expression", () => {
  it.each([
    [null, "every row"],
    ["true", "every row"],
    ["false", "no row"],
    ["((a = 1) OR (b = 2))", "`(a = 1) OR (b = 2)`"],
    ["(a = 1) OR (b = 2)", "`(a = 1) OR (b = 2)`"],
    ["(a = ( SELECT app_public.me() AS me))", "`a = app_public.me()`"],
    [
      "(EXISTS ( SELECT\n   FROM t\n  WHERE (t.a = 1)))",
      "`EXISTS ( SELECT FROM t WHERE (t.a = 1))`",
    ],
  ])("%s reads %s", (expression, words) => {
    expect(readable(expression)).toBe(words);
  });
});
