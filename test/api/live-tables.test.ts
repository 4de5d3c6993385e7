import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { openSocket, type Socket, type Subscription } from "../support/subscriptions.ts";

// Rooms whose members see each other's notes: a policy that asks another table, which no topic of a
// user's own could serve; and a table that nobody may read.
const SCHEMA = `
  drop table if exists app_public.notes, app_public.memberships, app_public.rooms cascade;
  create table app_public.rooms (
    id int generated always as identity primary key,
    name text not null
  );
  create table app_public.memberships (
    room_id int not null references app_public.rooms on delete cascade,
    user_id int not null references app_public.users on delete cascade,
    primary key (room_id, user_id)
  );
  create table app_public.notes (
    id uuid primary key default gen_random_uuid(),
    room_id int not null references app_public.rooms on delete cascade,
    author_id int not null default app_public.current_user_id() references app_public.users,
    body text not null
  );
  create table app_public.entries (
    id bigint primary key,
    user_id int not null references app_public.users on delete cascade,
    follows bigint references app_public.entries
  );
  create index on app_public.entries (user_id);
  create table app_public.secrets (id int generated always as identity primary key, body text);
  comment on table app_public.notes is E'@live\nNotes of a room.';
  comment on table app_public.entries is E'@live\nWith numbers that JavaScript does not have.';
  comment on table app_public.secrets is E'@behavior +connection\n@live\nFor operators.';
  alter table app_public.rooms enable row level security;
  alter table app_public.memberships enable row level security;
  alter table app_public.notes enable row level security;
  alter table app_public.entries enable row level security;
  create policy select_own on app_public.entries for select to howdah_user
    using (user_id = (select app_public.current_user_id()));
  grant select on app_public.entries to howdah_user;
  alter table app_public.secrets enable row level security;
  create policy select_all on app_public.rooms for select to howdah_user using (true);
  create policy select_own on app_public.memberships for select to howdah_user
    using (user_id = (select app_public.current_user_id()));
  create policy select_member on app_public.notes for select to howdah_user
    using (exists (select from app_public.memberships m where m.room_id = notes.room_id));
  create policy select_operator on app_public.secrets for select to howdah_operator using (true);
  grant select on app_public.rooms, app_public.memberships, app_public.notes to howdah_user;
  grant select on app_public.secrets to howdah_operator;
  select app_private.sync_live_triggers();
`;

let database: TestDatabase;
let api: TestApi;
let ann: Account;
let bob: Account;
let room: number;
const sockets: Socket[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  await database.owner.query(SCHEMA);
  api = await startTestApi({ database });
  ann = await api.signUp();
  bob = await api.signUp();
  room = await roomOf(ann, bob);
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});
afterAll(() => api.stop());

async function roomOf(...members: Account[]): Promise<number> {
  const { rows } = await database.owner.query(
    "insert into app_public.rooms (name) values ('r') returning id",
  );
  for (const { userId } of members) {
    await database.owner.query("insert into app_public.memberships values ($1, $2)", [
      rows[0].id,
      userId,
    ]);
  }
  return rows[0].id;
}

async function note(roomId: number, body: string, author = ann): Promise<string> {
  const { rows } = await database.owner.query(
    "insert into app_public.notes (room_id, author_id, body) values ($1, $2, $3) returning id",
    [roomId, author.userId, body],
  );
  return rows[0].id;
}

/** A subscription that is in force: the initial event has come. */
async function live(token: string | undefined, field: string): Promise<Subscription> {
  const socket = openSocket(api.url, token ? { authorization: `Bearer ${token}` } : {});
  sockets.push(socket);
  const subscription = socket.subscribe(`subscription { changed: ${field} }`);
  expect(await Promise.race([subscription.next(), subscription.ended])).toMatchObject({
    data: { changed: { operation: null } },
  });
  return subscription;
}

const items = (token: string, more = "") =>
  live(token, `itemChanged(initialEvent: true${more}) { operation id item { id title } }`);
const notes = (token: string, more = "") =>
  live(
    token,
    `noteChanged(initialEvent: true${more}) { operation id note { id body room { id } } }`,
  );

const changed = async (subscription: Subscription) =>
  ((await subscription.next()).data as { changed: { operation: string; id: unknown } }).changed;

async function createItem({ token }: Account, title: string): Promise<number> {
  const { data } = await api.graphql(
    `mutation { createItem(input: {item: {title: "${title}"}}) { item { id } } }`,
    { token },
  );
  return data.createItem.item.id;
}

describe("a table with the tag @live", () => {
  it("tells its owner of what is created, changed and deleted, with the row as it is", async () => {
    const subscription = await items(ann.token);
    const id = await createItem(ann, "one");
    expect(await changed(subscription)).toEqual({
      operation: "INSERT",
      id,
      item: { id, title: "one" },
    });
    await api.graphql(
      `mutation { updateItem(input: {id: ${id}, patch: {title: "two"}}) { clientMutationId } }`,
      { token: ann.token },
    );
    expect(await changed(subscription)).toEqual({
      operation: "UPDATE",
      id,
      item: { id, title: "two" },
    });
    await api.graphql(`mutation { deleteItem(input: {id: ${id}}) { clientMutationId } }`, {
      token: ann.token,
    });
    expect(await changed(subscription)).toEqual({ operation: "DELETE", id, item: null });
  });

  it("tells nobody what is not theirs, not even that it is gone", async () => {
    const mine = await items(ann.token);
    const theirs = await items(bob.token);
    const id = await createItem(ann, "Ann's");
    expect(await changed(mine)).toMatchObject({ operation: "INSERT", id });
    await database.owner.query("update app_public.items set title = 'x' where id = $1", [id]);
    await database.owner.query("delete from app_public.items where id = $1", [id]);
    const last = await createItem(bob, "Bob's");
    expect(await changed(theirs)).toMatchObject({ operation: "INSERT", id: last });
  });

  it("tells of each row of one statement, in order, and nothing where a row stays as it was", async () => {
    const subscription = await items(ann.token);
    await database.owner.query(
      `insert into app_public.items (user_id, title)
       select $1, 'n ' || n from generate_series(1, 300) n`,
      [ann.userId],
    );
    const ids = [];
    for (let n = 0; n < 300; n += 1) ids.push((await changed(subscription)).id);
    expect(ids).toEqual([...ids].sort((a, b) => Number(a) - Number(b)));
    await database.owner.query("update app_public.notes set body = body");
    const id = await createItem(ann, "after");
    expect(await changed(subscription)).toMatchObject({ operation: "INSERT", id });
  });

  it("tells nothing of a transaction that rolls back", async () => {
    const subscription = await items(ann.token);
    await database.owner
      .query(
        "do $$ begin insert into app_public.items (user_id, title) values (1, 'x'); raise 'no'; end $$",
      )
      .catch(() => {});
    const id = await createItem(ann, "kept");
    expect(await changed(subscription)).toMatchObject({ id });
  });

  it("under a policy that asks another table: members are told, of deletions too", async () => {
    const [mine, theirs] = [await notes(ann.token), await notes(bob.token)];
    const secret = await roomOf(ann);
    const remove = (id: string) =>
      database.owner.query("delete from app_public.notes where id = $1", [id]);
    const hidden = await note(secret, "for Ann alone");
    expect(await changed(mine)).toMatchObject({ operation: "INSERT", id: hidden });
    await remove(hidden);
    expect(await changed(mine)).toMatchObject({ operation: "DELETE", id: hidden });
    const shared = await note(room, "for both");
    for (const subscription of [mine, theirs]) {
      expect(await changed(subscription)).toMatchObject({ operation: "INSERT", id: shared });
    }
    await remove(shared);
    for (const subscription of [mine, theirs]) {
      expect(await changed(subscription)).toEqual({ operation: "DELETE", id: shared, note: null });
    }
  });

  it("a row that passes out of sight is told as deleted, one that comes into sight as changed", async () => {
    const subscription = await notes(bob.token);
    const elsewhere = await roomOf(ann);
    const id = await note(room, "moves");
    expect(await changed(subscription)).toMatchObject({ operation: "INSERT", id });
    const move = (roomId: number) =>
      database.owner.query("update app_public.notes set room_id = $1 where id = $2", [roomId, id]);
    await move(elsewhere);
    expect(await changed(subscription)).toEqual({ operation: "DELETE", id, note: null });
    await database.owner.query("update app_public.notes set body = 'unseen' where id = $1", [id]);
    await move(room);
    expect(await changed(subscription)).toMatchObject({
      operation: "UPDATE",
      id,
      note: { id, body: "unseen" },
    });
  });

  it("can be followed by id and by foreign key, by the value before and after", async () => {
    const other = await roomOf(ann, bob);
    const first = await note(room, "first");
    const byId = await notes(bob.token, `, id: "${first}"`);
    const byRoom = await notes(bob.token, `, roomId: ${other}`);
    const byBoth = await notes(bob.token, `, roomId: ${other}, authorId: ${bob.userId}`);
    const second = await note(other, "second");
    await database.owner.query("update app_public.notes set room_id = $1 where id = $2", [
      other,
      first,
    ]);
    const third = await note(other, "third", bob);
    expect(await changed(byId)).toMatchObject({ operation: "UPDATE", id: first });
    expect(await changed(byRoom)).toMatchObject({ operation: "INSERT", id: second });
    expect(await changed(byRoom)).toMatchObject({ operation: "UPDATE", id: first });
    expect(await changed(byRoom)).toMatchObject({ operation: "INSERT", id: third });
    expect(await changed(byBoth)).toMatchObject({ operation: "INSERT", id: third });
  });

  it("can be followed by an id however it is written, and not by what is none", async () => {
    const id = await note(room, "written in capitals");
    const subscription = await notes(bob.token, `, id: "${id.toUpperCase()}"`);
    await database.owner.query("update app_public.notes set body = 'seen' where id = $1", [id]);
    expect(await changed(subscription)).toMatchObject({ id, note: { body: "seen" } });
    const socket = openSocket(api.url, { authorization: `Bearer ${ann.token}` });
    sockets.push(socket);
    const { next } = socket.subscribe('subscription { entryChanged(id: "9e999") { id } }');
    expect((await next()).errors).toMatchObject([{ extensions: { code: "BAD_USER_INPUT" } }]);
  });

  it("tells a bigint whole, of its own key and of a foreign one", async () => {
    const [first, second] = ["9007199254740993", "9223372036854775807"];
    const subscription = await live(
      ann.token,
      `entryChanged(initialEvent: true, follows: "${first}") { operation id entry { id follows } }`,
    );
    const insert = "insert into app_public.entries values ($1, $2, $3)";
    await database.owner.query(insert, [first, ann.userId, null]);
    await database.owner.query(insert, ["9007199254740992", ann.userId, "9007199254740992"]);
    await database.owner.query(insert, [second, ann.userId, first]);
    expect(await changed(subscription)).toEqual({
      operation: "INSERT",
      id: second,
      entry: { id: second, follows: first },
    });
    await database.owner.query("delete from app_public.entries where id = $1", [second]);
    expect(await changed(subscription)).toEqual({ operation: "DELETE", id: second, entry: null });
  });

  it("sends an initial event where one is wanted, with the row where one is named", async () => {
    const id = await createItem(ann, "named");
    const socket = openSocket(api.url, { authorization: `Bearer ${ann.token}` });
    sockets.push(socket);
    const subscription = socket.subscribe(
      `subscription { itemChanged(id: ${id}, initialEvent: true) { operation id item { title } } }`,
    );
    expect(await subscription.next()).toEqual({
      data: { itemChanged: { operation: null, id, item: { title: "named" } } },
    });
  });

  it("is refused to whom may not read the table at all", async () => {
    const ask = (token?: string) => {
      const socket = openSocket(api.url, token ? { authorization: `Bearer ${token}` } : {});
      sockets.push(socket);
      return socket.subscribe("subscription { secretChanged { id } }").next();
    };
    expect((await ask()).errors?.[0]?.extensions).toMatchObject({ code: "UNAUTHENTICATED" });
    expect((await ask(ann.token)).errors?.[0]?.extensions).toMatchObject({ code: "FORBIDDEN" });
  });

  it("ends for whom loses the permission, with the reason", async () => {
    const operator = await api.signUpOperator();
    const secrets = await live(operator.token, "secretChanged(initialEvent: true) { operation }");
    await database.owner.query("delete from app_private.operators where user_id = $1", [
      operator.userId,
    ]);
    // At once: nothing has to happen first.
    expect(await secrets.ended).toMatchObject({ code: 4403 });
    const reader = await api.signUpOperator();
    const others = await live(reader.token, "secretChanged(initialEvent: true) { operation }");
    await database.owner.query("revoke select on app_public.secrets from howdah_operator");
    await database.owner.query("insert into app_public.secrets (body) values ('y')");
    expect(JSON.stringify(await Promise.race([others.next(), others.ended]))).toContain(
      "FORBIDDEN",
    );
    await database.owner.query("grant select on app_public.secrets to howdah_operator");
  });

  it("ends with UNAVAILABLE when events may have been missed, and can be taken up again", async () => {
    const subscription = await items(ann.token);
    const client = new pg.Client({ connectionString: database.superuserUrl });
    await client.connect();
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'howdah live events' and datname = current_database()`,
    );
    await client.end();
    expect(JSON.stringify(await Promise.race([subscription.next(), subscription.ended]))).toContain(
      "UNAVAILABLE",
    );
    await expect.poll(async () => (await fetch(`${api.opsUrl}/ready`)).status).toBe(200);
    const again = await items(ann.token);
    const id = await createItem(ann, "again");
    expect(await changed(again)).toMatchObject({ operation: "INSERT", id });
  });

  it("loses its triggers with its tag", async () => {
    const triggers = async () =>
      (
        await database.owner.query(
          "select from pg_trigger where tgfoid = 'app_private.tg__publish_changes'::regproc and tgrelid = 'app_public.secrets'::regclass",
        )
      ).rowCount;
    expect(await triggers()).toBe(3);
    await database.owner.query(
      "comment on table app_public.secrets is 'Not live.'; select app_private.sync_live_triggers()",
    );
    expect(await triggers()).toBe(0);
  });
});
