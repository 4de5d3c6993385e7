import { beforeAll, describe, expect, it } from "vitest";
import { useKit } from "../kit/kit.ts";

const { asUser, asOperator, asAnonymous, asOwner, createUser, createOperator, expectDenied } =
  useKit();
let owner: number;
let stranger: number;
let operator: number;
let sessionId: number;

beforeAll(async () => {
  owner = await createUser("owner@example.com");
  stranger = await createUser();
  operator = await createOperator();
  const { rows } = await asOwner(
    "insert into app_public.sessions (user_id, device_info) values ($1, 'Pixel') returning id",
    [owner],
  );
  sessionId = rows[0].id;
  await asOwner(
    `insert into app_public.oauth2_credentials (user_id, provider, subject) values ($1, 'google', 's1')`,
    [owner],
  );
  await asOwner(
    `insert into app_public.device_tokens (user_id, session_id, token, device_type)
     values ($1, $2, 'owner-phone', 'ios')`,
    [owner, sessionId],
  );
});

/** What nobody may do, whoever asks: by a missing grant. */
async function expectClosed(statement: string): Promise<void> {
  await expectDenied(asAnonymous(statement), "permission denied");
  await expectDenied(asUser(owner, statement), "permission denied");
  await expectDenied(asOperator(operator, statement), "permission denied");
}

const OWNED = [
  ["users", "id", "(first_name) values ('New')"],
  ["sessions", "user_id", "(user_id) select id from app_public.users limit 1"],
  [
    "device_tokens",
    "user_id",
    "(user_id, token, device_type) select id, 'new', 'web' from app_public.users limit 1",
  ],
  [
    "oauth2_credentials",
    "user_id",
    "(user_id, provider, subject) select id, 'google', 'new' from app_public.users limit 1",
  ],
] as const;

describe.each(OWNED)("%s", (table, key, row) => {
  const mine = `select ${key} as owner from app_public.${table} where ${key} = $1`;

  it(`its owner reads their ${table}`, async () => {
    expect((await asUser(owner, mine, [owner])).rows).toEqual([{ owner }]);
  });

  it(`a stranger reads no ${table} of others`, () =>
    expectDenied(asUser(stranger, mine, [owner]), "no rows"));

  it(`an operator reads all ${table}`, async () => {
    expect((await asOperator(operator, mine, [owner])).rows).toEqual([{ owner }]);
  });

  it(`nobody reads ${table}`, () => expectDenied(asAnonymous(mine, [owner]), "permission denied"));

  it(`claims that are missing mean no ${table}, not an error`, () =>
    expectDenied(
      asUser(owner, async (db) => {
        await db.query("select set_config('jwt.claims.user_id', '', true)");
        await db.query(mine, [owner]);
      }),
      "no rows",
    ));

  it(`nobody, no user and no operator inserts into or deletes from ${table}`, async () => {
    await expectClosed(`insert into app_public.${table} ${row}`);
    await expectClosed(`delete from app_public.${table}`);
  });
});

describe("what a user may change", () => {
  it("is their names, picture and time zone", async () => {
    const { rowCount } = await asUser(
      owner,
      `update app_public.users set first_name = 'New', last_name = 'Name', timezone = 'Asia/Kolkata',
         picture = 'https://example.com/x.png'`,
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
  ])("is not %s", (change) =>
    expectDenied(
      asUser(owner, `update app_public.users set ${change} where id = $1`, [owner]),
      "permission denied",
    ),
  );

  it("is not another user, not even for an operator", async () => {
    const rename = "update app_public.users set first_name = 'Hacked' where id = $1";
    await expectDenied(asUser(stranger, rename, [owner]), "no rows");
    await expectDenied(asOperator(operator, rename, [owner]), "no rows");
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
  ])("%s is closed to every role of a request", (table) =>
    expectClosed(`select * from app_private.${table}`),
  );

  it("its functions are closed to every role of a request", async () => {
    const { rows } = await asOwner(
      `select format('app_private.%I(%s)', p.proname,
         (select string_agg('null::' || format_type(t, null), ', ' order by o)
          from unnest(p.proargtypes::oid[]) with ordinality as a(t, o))) as call
       from pg_proc p where p.pronamespace = 'app_private'::regnamespace and p.prorettype <> 'trigger'::regtype`,
    );
    expect(rows.length).toBeGreaterThan(10);
    const calls = rows.map(({ call }) => `$call$${call}$call$`).join(", ");
    // Without sensible arguments they fail for their owner, too: that they are denied has to do.
    const callAll = `do $do$
      declare call text;
      begin
        foreach call in array array[${calls}] loop
          begin
            execute 'select ' || call;
          exception when insufficient_privilege then
            continue when sqlerrm ~ '^permission denied for (schema|function) ';
            raise;
          end;
          raise exception '% was called', call;
        end loop;
      end $do$`;
    await asAnonymous(callAll);
    await asUser(owner, callAll);
    await asOperator(operator, callAll);
    await expect(asOwner(callAll)).rejects.toThrow();
  });

  it("the queue is closed to every role of a request", () =>
    expectClosed("select graphile_worker.add_job('x')"));
});

describe("a session", () => {
  it("that has ended or expired is not shown to its user, and is to an operator", async () => {
    const { rows } = await asOwner(
      `insert into app_public.sessions (user_id, revoked_at, revoked_reason, expires_at)
       values ($1, now(), 'log_out', now() + interval '1 day'), ($1, null, null, now()) returning id`,
      [stranger],
    );
    const ids = rows.map(({ id }) => id);
    const seen = "select id from app_public.sessions where id = any($1) order by id";
    await expectDenied(asUser(stranger, seen, [ids]), "no rows");
    expect((await asOperator(operator, seen, [ids])).rows).toEqual(rows);
  });

  it("is ended by log_out() of itself alone, with its device", async () => {
    const { rows } = await asOwner(
      "insert into app_public.sessions (user_id) values ($1) returning id",
      [owner],
    );
    await asUser(owner, "select app_public.log_out()", [], {
      commit: true,
      sessionId: rows[0].id,
    });
    const { rows: after } = await asOwner(
      "select revoked_reason from app_public.sessions where id = any($1) order by id",
      [[sessionId, rows[0].id]],
    );
    expect(after).toEqual([{ revoked_reason: null }, { revoked_reason: "log_out" }]);
  });
});

describe("a deleted user", () => {
  it("keeps no session, device in service, password, token or right, and frees the address", async () => {
    const id = await createUser("gone@example.com");
    await asOwner(
      `with s as (insert into app_public.sessions (user_id) values ($1) returning id)
       insert into app_public.device_tokens (user_id, token, device_type) values ($1, 'gone-phone', 'web')`,
      [id],
    );
    await asOwner(
      "insert into app_private.user_secrets (user_id, password_hash) values ($1, 'x')",
      [id],
    );
    await asOwner("insert into app_private.operators (user_id) values ($1)", [id]);
    await asOwner("update app_public.users set deleted_at = now() where id = $1", [id]);
    const { rows } = await asOwner(
      `select u.is_deleted,
         (select count(*)::int from app_public.sessions where user_id = u.id and revoked_at is null) as sessions,
         (select count(*)::int from app_public.device_tokens where user_id = u.id and disabled_at is null) as devices,
         (select count(*)::int from app_private.user_secrets where user_id = u.id) as secrets,
         (select count(*)::int from app_private.operators where user_id = u.id) as rights
       from app_public.users u where u.id = $1`,
      [id],
    );
    expect(rows).toEqual([{ is_deleted: true, sessions: 0, devices: 0, secrets: 0, rights: 0 }]);
    await expectDenied(
      asUser(id, "select id from app_public.users where id = $1", [id]),
      "no rows",
    );
    await expect(createUser("GONE@example.com")).resolves.toBeGreaterThan(id);
  });
});
