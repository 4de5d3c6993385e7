import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { as, createOperator, createUser } from "../support/actors.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
let owner: number;
let stranger: number;
let operator: number;
let sessionId: number;

beforeAll(async () => {
  database = await createTestDatabase();
  owner = await createUser(database, "owner@example.com");
  stranger = await createUser(database);
  operator = await createOperator(database);
  const { rows } = await database.owner.query(
    "insert into app_public.sessions (user_id, device_info) values ($1, 'Pixel') returning id",
    [owner],
  );
  sessionId = rows[0].id;
  await database.owner.query(
    `insert into app_public.oauth2_credentials (user_id, provider, subject) values ($1, 'google', 's1')`,
    [owner],
  );
  await database.owner.query(
    `insert into app_public.device_tokens (user_id, session_id, token, device_type)
     values ($1, $2, 'owner-phone', 'ios')`,
    [owner, sessionId],
  );
});
afterAll(() => database.drop());

const OWNED = [
  ["users", "id"],
  ["sessions", "user_id"],
  ["device_tokens", "user_id"],
  ["oauth2_credentials", "user_id"],
] as const;

describe.each(OWNED)("%s", (table, key) => {
  const mine = `select ${key} as owner from app_public.${table} where ${key} = `;

  it(`its owner reads their ${table}`, async () => {
    const { rows } = await as(database, { user: owner }, (db) => db.query(mine + owner));
    expect(rows).toEqual([{ owner }]);
  });

  it(`a stranger reads no ${table} of others`, async () => {
    const { rows } = await as(database, { user: stranger }, (db) => db.query(mine + owner));
    expect(rows).toEqual([]);
    expect((await database.owner.query(mine + owner)).rowCount).toBe(1);
  });

  it(`an operator reads all ${table}`, async () => {
    const { rows } = await as(database, { operator }, (db) => db.query(mine + owner));
    expect(rows).toEqual([{ owner }]);
  });

  it(`nobody reads ${table}`, async () => {
    await expect(as(database, "anonymous", (db) => db.query(mine + owner))).rejects.toMatchObject({
      code: "42501",
    });
  });

  it(`claims that are missing mean no ${table}, not an error`, async () => {
    const { rows } = await as(database, { user: owner }, async (db) => {
      await db.query("select set_config('jwt.claims.user_id', '', true)");
      return db.query(mine + owner);
    });
    expect(rows).toEqual([]);
  });

  it(`nobody, no user and no operator inserts into or deletes from ${table}`, async () => {
    for (const actor of ["anonymous", { user: owner }, { operator }] as const) {
      for (const statement of [
        `insert into app_public.${table} default values`,
        `delete from app_public.${table}`,
      ]) {
        await expect(as(database, actor, (db) => db.query(statement))).rejects.toMatchObject({
          code: "42501",
        });
      }
    }
  });
});

describe("what a user may change", () => {
  it("is their names, picture and time zone", async () => {
    const { rowCount } = await as(database, { user: owner }, (db) =>
      db.query(
        `update app_public.users set first_name = 'New', last_name = 'Name', timezone = 'Asia/Kolkata',
           picture = 'https://example.com/x.png'`,
      ),
    );
    expect(rowCount).toBe(1);
  });

  it.each([
    "email = 'x@example.com'",
    "email_verified = true",
    "phone = '+4930123456'",
    "phone_verified = true",
    "created_at = now()",
    "last_logged_in = now()",
    "deleted_at = now()",
  ])("is not %s", async (change) => {
    await expect(
      as(database, { user: owner }, (db) => db.query(`update app_public.users set ${change}`)),
    ).rejects.toMatchObject({ code: "42501" });
  });

  it("is not another user, not even for an operator", async () => {
    for (const actor of [{ user: stranger }, { operator }]) {
      const { rowCount } = await as(database, actor, (db) =>
        db.query("update app_public.users set first_name = 'Hacked' where id = $1", [owner]),
      );
      expect(rowCount).toBe(0);
    }
    const { rows } = await database.owner.query(
      "select first_name from app_public.users where id = $1",
      [owner],
    );
    expect(rows).toEqual([{ first_name: "Test" }]);
  });
});

describe("app_private", () => {
  it.each([
    "user_secrets",
    "user_tokens",
    "operators",
    "refresh_tokens",
    "oauth2_tokens",
    "attempts",
    "security_events",
  ])("%s is closed to every role of a request", async (table) => {
    for (const actor of ["anonymous", { user: owner }, { operator }] as const) {
      await expect(
        as(database, actor, (db) => db.query(`select * from app_private.${table}`)),
      ).rejects.toMatchObject({ code: "42501" });
    }
  });

  it("its functions are closed to every role of a request", async () => {
    const { rows } = await database.owner.query<{ call: string }>(
      `select format('app_private.%I(%s)', p.proname,
         (select string_agg('null::' || format_type(t, null), ', ' order by o)
          from unnest(p.proargtypes::oid[]) with ordinality as a(t, o))) as call
       from pg_proc p where p.pronamespace = 'app_private'::regnamespace and p.prorettype <> 'trigger'::regtype`,
    );
    expect(rows.length).toBeGreaterThan(10);
    for (const { call } of rows) {
      for (const actor of ["anonymous", { user: owner }, { operator }] as const) {
        await expect(as(database, actor, (db) => db.query(`select ${call}`))).rejects.toMatchObject(
          {
            code: "42501",
          },
        );
      }
    }
  });

  it("the queue is closed to every role of a request", async () => {
    for (const actor of ["anonymous", { user: owner }, { operator }] as const) {
      await expect(
        as(database, actor, (db) => db.query("select graphile_worker.add_job('x')")),
      ).rejects.toMatchObject({ code: "42501" });
    }
  });
});

describe("a session", () => {
  it("that has ended or expired is not shown to its user, and is to an operator", async () => {
    const { rows } = await database.owner.query(
      `insert into app_public.sessions (user_id, revoked_at, revoked_reason, expires_at)
       values ($1, now(), 'log_out', now() + interval '1 day'), ($1, null, null, now()) returning id`,
      [stranger],
    );
    const ids = rows.map(({ id }) => id);
    const seen = "select id from app_public.sessions where id = any($1) order by id";
    expect((await as(database, { user: stranger }, (db) => db.query(seen, [ids]))).rows).toEqual(
      [],
    );
    expect((await as(database, { operator }, (db) => db.query(seen, [ids]))).rows).toEqual(rows);
  });

  it("is ended by log_out() of itself alone, with its device", async () => {
    const { rows } = await database.owner.query(
      "insert into app_public.sessions (user_id) values ($1) returning id",
      [owner],
    );
    await as(database, { user: owner }, (db) => db.query("select app_public.log_out()"), {
      commit: true,
      sessionId: rows[0].id,
    });
    const { rows: after } = await database.owner.query(
      "select revoked_reason from app_public.sessions where id = any($1) order by id",
      [[sessionId, rows[0].id]],
    );
    expect(after).toEqual([{ revoked_reason: null }, { revoked_reason: "log_out" }]);
  });
});

describe("a deleted user", () => {
  it("keeps no session, device in service, password, token or right, and frees the address", async () => {
    const id = await createUser(database, "gone@example.com");
    await database.owner.query(
      `with s as (insert into app_public.sessions (user_id) values ($1) returning id)
       insert into app_public.device_tokens (user_id, token, device_type) values ($1, 'gone-phone', 'web')`,
      [id],
    );
    await database.owner.query(
      "insert into app_private.user_secrets (user_id, password_hash) values ($1, 'x')",
      [id],
    );
    await database.owner.query("insert into app_private.operators (user_id) values ($1)", [id]);
    await database.owner.query("update app_public.users set deleted_at = now() where id = $1", [
      id,
    ]);
    const { rows } = await database.owner.query(
      `select u.is_deleted,
         (select count(*)::int from app_public.sessions where user_id = u.id and revoked_at is null) as sessions,
         (select count(*)::int from app_public.device_tokens where user_id = u.id and disabled_at is null) as devices,
         (select count(*)::int from app_private.user_secrets where user_id = u.id) as secrets,
         (select count(*)::int from app_private.operators where user_id = u.id) as rights
       from app_public.users u where u.id = $1`,
      [id],
    );
    expect(rows).toEqual([{ is_deleted: true, sessions: 0, devices: 0, secrets: 0, rights: 0 }]);
    expect(
      (await as(database, { user: id }, (db) => db.query("select id from app_public.users"))).rows,
    ).toEqual([]);
    await expect(createUser(database, "GONE@example.com")).resolves.toBeGreaterThan(id);
  });
});
