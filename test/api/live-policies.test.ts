import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { openSocket, type Socket, type Subscription } from "../support/subscriptions.ts";

// Memos under a policy that takes the whole row, and posts under one that looks at long and at structured values.
const SCHEMA = `
  drop table if exists app_public.memos, app_public.posts cascade;
  create table app_public.memos (
    id int generated always as identity primary key,
    user_id int not null references app_public.users on delete cascade,
    is_secret boolean not null default false,
    body text not null default ''
  );
  create function app_hidden.may_read(memo app_public.memos) returns boolean language sql stable as $$
    select memo.user_id = app_public.current_user_id() or memo.is_secret is not true
  $$;
  grant execute on function app_hidden.may_read(app_public.memos) to howdah_user;
  create policy select_it on app_public.memos for select to howdah_user
    using (app_hidden.may_read(memos));
  create table app_public.posts (
    id int generated always as identity primary key,
    user_id int not null references app_public.users on delete cascade,
    body text not null default '',
    data jsonb not null default '{}'
  );
  create policy select_it on app_public.posts for select to howdah_user using (
    user_id = (select app_public.current_user_id())
    or (body not like 'draft%' and not data ? 'embargo' and not data @> '{"n": 9007199254740993}')
  );
  comment on table app_public.memos is E'@live\\nRead by all unless it is secret.';
  comment on table app_public.posts is E'@live\\nDrafts begin with draft.';
  alter table app_public.memos enable row level security;
  alter table app_public.posts enable row level security;
  grant select on app_public.memos, app_public.posts to howdah_user;
  select app_private.sync_live_triggers();
`;

let database: TestDatabase;
let api: TestApi;
let ann: Account;
const sockets: Socket[] = [];
let own: Subscription;
let stranger: Subscription;
let elsewhere: Subscription;
let memos: Subscription;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.owner.query(SCHEMA);
  api = await startTestApi({ database });
  ann = await api.signUp();
  const bob = await api.signUp();
  const posts = "postChanged(initialEvent: true) { operation id }";
  own = await live(ann.token, posts);
  stranger = await live(bob.token, posts);
  elsewhere = await live(bob.token, "postChanged(initialEvent: true, id: 999999) { operation id }");
  memos = await live(bob.token, "memoChanged(initialEvent: true) { operation id }");
});
afterAll(async () => {
  for (const socket of sockets) socket.close();
  await api.stop();
});

async function live(token: string, field: string): Promise<Subscription> {
  const socket = openSocket(api.url, { authorization: `Bearer ${token}` });
  sockets.push(socket);
  const subscription = socket.subscribe(`subscription { changed: ${field} }`);
  await subscription.next(20_000);
  return subscription;
}

const changed = async (subscription: Subscription) =>
  ((await subscription.next(20_000)).data as { changed: { operation: string; id: number } })
    .changed;

/** The ids of the rows that a statement returns. */
async function sql(statement: string, ...values: unknown[]): Promise<number[]> {
  const { rows } = await database.owner.query(`${statement} returning id`, values);
  return rows.map(({ id }) => id);
}
const post = async (body: string, data = {}) =>
  (await sql(
    "insert into app_public.posts (user_id, body, data) values ($1, $2, $3)",
    ann.userId,
    body,
    data,
  )) as [number];
const removePosts = (ids: number[]) => sql("delete from app_public.posts where id = any ($1)", ids);

describe("of a row that is gone, the policies are asked with all that it had", () => {
  it("where they take it whole: a stranger hears of what was theirs to read, and of nothing else", async () => {
    const insert = "insert into app_public.memos (user_id, is_secret) values ($1, $2)";
    const [secret] = await sql(insert, ann.userId, true);
    await sql("update app_public.memos set body = 'x' where id = $1", secret);
    await sql("delete from app_public.memos where id = $1", secret);
    const [open] = await sql(insert, ann.userId, false);
    expect(await changed(memos)).toEqual({ operation: "INSERT", id: open });
    await sql("update app_public.memos set is_secret = true where id = $1", open);
    expect(await changed(memos)).toEqual({ operation: "DELETE", id: open });
    const [last] = await sql(insert, ann.userId, false);
    expect(await changed(memos)).toEqual({ operation: "INSERT", id: last });
    await sql("delete from app_public.memos where id = $1", last);
    expect(await changed(memos)).toEqual({ operation: "DELETE", id: last });
  });

  it.each([
    ["a null within a value", '{"embargo": null}'],
    ["a number that JavaScript does not have", '{"n": 9007199254740993}'],
  ])("with %s", async (_what, data) => {
    const [hidden] = await post("hidden", data as never);
    expect(await changed(own)).toEqual({ operation: "INSERT", id: hidden });
    await sql("update app_public.posts set body = 'still' where id = $1", hidden);
    expect(await changed(own)).toEqual({ operation: "UPDATE", id: hidden });
    await removePosts([hidden]);
    expect(await changed(own)).toEqual({ operation: "DELETE", id: hidden });
    const [open] = await post("open");
    for (const subscription of [own, stranger]) {
      expect(await changed(subscription)).toEqual({ operation: "INSERT", id: open });
    }
    await removePosts([open]);
    for (const subscription of [own, stranger]) {
      expect(await changed(subscription)).toEqual({ operation: "DELETE", id: open });
    }
  });

  it("with a long text, in the order of the rows, and only where it was looked for", async () => {
    const ids = await sql(
      `insert into app_public.posts (user_id, body)
       select $1, repeat('é', case n % 3 when 0 then 3000 else 3 end) from generate_series(1, 30) n`,
      ann.userId,
    );
    for (const id of ids) {
      expect(await changed(stranger)).toEqual({ operation: "INSERT", id });
    }
    const [passes, ...others] = ids as [number, ...number[]];
    await sql("update app_public.posts set body = 'draft' where id = $1", passes);
    await removePosts(others);
    expect(await changed(stranger)).toEqual({ operation: "DELETE", id: passes });
    for (const id of others) {
      expect(await changed(stranger)).toEqual({ operation: "DELETE", id });
    }
    const [last] = await post("last");
    expect(await changed(stranger)).toEqual({ operation: "INSERT", id: last });
    await sql("update app_public.posts set body = repeat('long', 5000) where id = $1", last);
    expect(await changed(stranger)).toEqual({ operation: "UPDATE", id: last });
    await sql("update app_public.posts set body = body || '!' where id = $1", last);
    expect(await changed(stranger)).toEqual({ operation: "UPDATE", id: last });
    // Over 7 kB: nobody is told that it is gone.
    await removePosts([last]);
    await sql(
      "insert into app_public.posts (id, user_id) overriding system value values (999999, $1)",
      ann.userId,
    );
    expect(await changed(stranger)).toEqual({ operation: "INSERT", id: 999999 });
    expect(await changed(elsewhere)).toEqual({ operation: "INSERT", id: 999999 });
  });
});
