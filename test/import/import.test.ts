import { hash } from "@node-rs/bcrypt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readProviderTokens, rotateProviderTokens } from "../../src/auth/provider-tokens.ts";
import type { ImportReport } from "../../src/import/report.ts";
import { startTestApi, type TestApi } from "../support/api.ts";
import { everything, importFrom, keyring } from "../support/import.ts";
import { createTemplateDatabase, type TemplateDatabase } from "../support/template.ts";

const USERS = 10_000;
const ITEMS = 100_000;
/** Those that are there at the dry run. */
const FIRST_USERS = 200;
const OLD_PASSWORD = "the old password";

let template: TemplateDatabase;
let api: TestApi;
let report: ImportReport;
let seconds: number;

/** Users from one id to another, with ten items, a phone and a session each; some with notifications and credentials. */
async function fill(first: number, last: number): Promise<void> {
  const { pool } = template;
  const bcrypt = await hash(OLD_PASSWORD, 4);
  await pool.query(
    `insert into users (first_name, last_name, email, email_verified, password_hash, created_at,
       last_logged_in, timezone)
     select 'First ' || n, 'Last', 'user' || n || '@example.com', n % 2 = 0,
       case when n % 2 = 0 then $3 else '$2a$' || substr($3, 5) end,
       now() - interval '1 year' + n * interval '1 minute', now() - interval '1 day', 'Europe/Berlin'
     from generate_series($1::int, $2::int) n`,
    [first, last, bcrypt],
  );
  await pool.query(
    `insert into items (user_id, title, description, data, is_active, created_at, updated_at)
     select n, 'Item ' || n || ' ' || i, 'Text', '{"n": 1}', i % 3 > 0, now() - interval '100 days',
       now() - interval '99.5 days'
     from generate_series($1::int, $2::int) n, generate_series(1, $3::int) i`,
    [first, last, ITEMS / USERS],
  );
  for (const statement of [
    `insert into refresh_tokens (user_id, token, device_info, expires_at, is_revoked, created_at)
     select n, 'old-refresh-token-of-the-template-' || n, 'Phone', now() + interval '20 days', n % 10 = 0,
       now() - interval '5 days'
     from generate_series($1::int, $2::int) n`,
    `insert into device_tokens (user_id, token, device_type, created_at)
     select n, 'old-phone-' || n, case when n % 2 = 0 then 'ios' else 'android' end, now() - interval '2 years'
     from generate_series($1::int, $2::int) n`,
    `insert into notifications (users, event, message, sent_status, created_at)
     select array[n, n + 1], 'order.shipped', 'On its way', n % 4 > 0, now() - interval '1 hour'
     from generate_series($1::int, least($2::int, 5000)) n`,
    `insert into oauth2_credentials (user_id, provider, email, access_token, refresh_token)
     select n, 'google', 'user' || n || '@example.com', 'google-access-' || n, 'google-refresh-' || n
     from generate_series($1::int, least($2::int, 2000)) n`,
  ]) {
    await pool.query(statement, [first, last]);
  }
}

beforeAll(async () => {
  template = await createTemplateDatabase();
  api = await startTestApi();
  await fill(1, FIRST_USERS);
}, 60_000);
afterAll(async () => {
  await api.stop();
  await template.drop();
});

describe("a database of the template", () => {
  it("is left out of a dry run's reach", { timeout: 180_000 }, async () => {
    const before = await everything(api.database);
    const dry = await importFrom(template.url, api.database, true);
    expect(await everything(api.database)).toEqual(before);
    expect(dry.dryRun).toBe(true);
    expect(dry.tables.items.moved).toBe((FIRST_USERS * ITEMS) / USERS);
    await fill(FIRST_USERS + 1, USERS);
  });

  it("is moved whole, and the counts add up", { timeout: 180_000 }, async () => {
    const begun = performance.now();
    report = await importFrom(template.url, api.database);
    seconds = (performance.now() - begun) / 1000;
    console.log(`Imported ${USERS} users and ${ITEMS} items in ${seconds.toFixed(1)} s`);
    const moved = Object.entries(report.tables).map(([name, table]) => [name, table.moved]);
    expect(Object.fromEntries(moved)).toEqual({
      users: USERS,
      refresh_tokens: 9000,
      device_tokens: 10_000,
      notifications: 5000,
      oauth2_credentials: 2000,
      items: ITEMS,
    });
    for (const table of Object.values(report.tables)) {
      expect(table.moved + table.present + table.skipped).toBe(table.rows);
    }
    expect(report.tables.refresh_tokens.skippedFor.token_revoked).toHaveLength(1000);
    expect(report.tables.notifications.noted.never_sent).toHaveLength(1250);
  });

  it("keeps ids, times and values, and new ids begin after them", async () => {
    const columns = "id, user_id, title, description, is_active, created_at, updated_at";
    const query = (table: string) => `
      select md5(string_agg(x::text, '|' order by id)) from (select ${columns} from ${table}) x`;
    const [old, here] = await Promise.all([
      template.pool.query(query("items")),
      api.database.owner.query(query("app_public.items")),
    ]);
    expect(here.rows).toEqual(old.rows);
    const { userId } = await api.signUp();
    expect(userId).toBe(USERS + 1);
  });

  it("has the triggers on again afterwards", async () => {
    const { rows } = await api.database.owner.query(
      `select t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid
       where t.tgenabled <> 'O' and c.relnamespace::regnamespace::text like 'app%'`,
    );
    expect(rows).toEqual([]);
  });
});

describe("an imported user", () => {
  it("logs in with the old password, which is hashed anew then", async () => {
    for (const id of [2, 3]) {
      const { data, errors } = await logIn(`USER${id}@example.com`, OLD_PASSWORD);
      expect(errors).toEqual([]);
      expect(data.logIn.tokens.userId).toBe(id);
      const { rows } = await api.database.owner.query(
        "select password_hash from app_private.user_secrets where user_id = $1",
        [id],
      );
      expect(rows[0].password_hash).toMatch(/^\$argon2id\$/);
    }
    expect((await logIn("user2@example.com", "another password")).errors).toHaveLength(1);
  });

  it("goes on with the refresh token that their app has", async () => {
    const { data, errors } = await refresh("old-refresh-token-of-the-template-7");
    expect(errors).toEqual([]);
    const { accessToken, refreshToken } = data.refreshTokens.tokens;
    const me = await api.graphql(
      "{ me { id email unreadNotificationCount } items(first: 3) { totalCount } sessions { nodes { deviceInfo } } }",
      { token: accessToken },
    );
    expect(me.errors).toEqual([]);
    expect(me.data.me).toEqual({ id: 7, email: "user7@example.com", unreadNotificationCount: 0 });
    expect(me.data.items.totalCount).toBe(ITEMS / USERS);
    expect(me.data.sessions.nodes).toEqual([{ deviceInfo: "Phone" }]);
    expect((await refresh(refreshToken)).errors).toEqual([]);
    const { errors: revoked } = await refresh("old-refresh-token-of-the-template-10");
    expect(revoked[0]?.extensions.code).toBe("UNAUTHENTICATED");
    const { rows } = await api.database.owner.query(
      "select from app_private.refresh_tokens t where t::text like '%old-refresh%'",
    );
    expect(rows).toEqual([]);
  });

  it("is pushed nothing of what is old", async () => {
    const { rows } = await api.database.owner.query(
      `select status::text, count(*)::int, bool_or(expires_at > now()) as is_open
       from app_public.notifications group by 1 order by 1`,
    );
    expect(rows).toEqual([
      { status: "canceled", count: 1250, is_open: false },
      { status: "sent", count: 3750, is_open: false },
    ]);
    const { rows: queued } = await api.database.owner.query(
      `select 'job' from graphile_worker.jobs where task_identifier ~ 'push|notification|notice'
       union all select 'delivery' from app_public.notification_deliveries
       union all select 'batch' from app_private.delivery_batches`,
    );
    expect(queued).toEqual([]);
    const { rows: swept } = await api.database.owner.query("select * from app_private.sweep()");
    expect(swept).toEqual([{ dead_workers: 0, batches: 0, notifications: 0 }]);
  });

  it("has the provider's tokens, encrypted, and so they stay with the first sign-in", async () => {
    const { owner } = api.database;
    const expected = {
      accessToken: "google-access-5",
      refreshToken: "google-refresh-5",
      tokenExpiry: null,
    };
    expect(await readProviderTokens(owner, keyring, 5)).toEqual(expected);
    await owner.query("update app_public.oauth2_credentials set subject = 'five' where id = 5");
    expect(await readProviderTokens(owner, keyring, 5)).toEqual(expected);
    await owner.query(
      `update app_private.oauth2_tokens t set access_token_encrypted = o.access_token_encrypted
       from app_private.oauth2_tokens o
       where t.oauth2_credential_id = 5 and o.oauth2_credential_id = 6`,
    );
    await expect(readProviderTokens(owner, keyring, 5)).rejects.toThrow();
    await owner.query("delete from app_public.oauth2_credentials where id = 5");
    expect(await rotateProviderTokens(owner, keyring)).toBe(0);
  });
});

describe("a second run", () => {
  it("adds nothing and changes nothing, not even what has changed since", {
    timeout: 180_000,
  }, async () => {
    const { owner } = api.database;
    await owner.query("update app_public.users set first_name = 'New' where id = 20");
    await owner.query("delete from app_public.items where id = 30");
    await template.pool.query("update items set title = 'Changed there' where id = 40");
    const before = await everything(api.database);
    const second = await importFrom(template.url, api.database);
    expect(await everything(api.database)).toEqual(before);
    for (const table of Object.values(second.tables)) expect(table.moved).toBe(0);
    expect(second.tables.users.present).toBe(USERS);
    expect(second.tables.items.skippedFor).toEqual({ deleted_here: [30] });
    expect(second.tables.items.noted).toEqual({ changed_in_source: [40] });
    expect(second.tables.oauth2_credentials.skippedFor).toEqual({ deleted_here: [5] });
  });

  it("adds what is new, and leaves ids alone that were given here since", {
    timeout: 180_000,
  }, async () => {
    await template.pool.query(
      "insert into users (id, first_name, email) values ($1, 'Taken', 't@example.com'), ($2, 'New', 'n@example.com')",
      [USERS + 1, USERS + 100],
    );
    await template.pool.query(
      "insert into items (user_id, title) values ($1, 'Orphan'), ($2, 'New one'), (11, 'Another')",
      [USERS + 1, USERS + 100],
    );
    const third = await importFrom(template.url, api.database);
    expect(third.tables.users).toMatchObject({ moved: 1, skippedFor: { id_taken: [USERS + 1] } });
    expect(third.tables.items).toMatchObject({
      moved: 2,
      skippedFor: { user_skipped: [ITEMS + 1] },
    });
  });
});

function logIn(identifier: string, password: string) {
  return api.graphql(
    "mutation ($input: LogInInput!) { logIn(input: $input) { tokens { userId accessToken } } }",
    { variables: { input: { identifier, password } } },
  );
}

function refresh(refreshToken: string) {
  return api.graphql(
    `mutation ($input: RefreshTokensInput!) {
      refreshTokens(input: $input) { tokens { accessToken refreshToken } }
    }`,
    { variables: { input: { refreshToken } } },
  );
}
