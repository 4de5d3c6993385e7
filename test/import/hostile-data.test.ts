import { hash } from "@node-rs/bcrypt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ImportReport } from "../../src/import/report.ts";
import { startTestApi, type TestApi } from "../support/api.ts";
import { importFrom } from "../support/import.ts";
import {
  createTemplateDatabase,
  TEMPLATE_SCHEMA,
  type TemplateDatabase,
} from "../support/template.ts";

let template: TemplateDatabase;
let api: TestApi;
let report: ImportReport;

/** Without the rules that a template's database may have lost, and with times that have no zone. */
const LOOSE = TEMPLATE_SCHEMA.replaceAll(" references users on delete cascade", "")
  .replaceAll(" unique", "")
  .replaceAll(/ not null(?=,)/g, "")
  .replace("provider oauth2provider", "provider varchar")
  .replace("last_logged_in timestamptz", "last_logged_in timestamp");

beforeAll(async () => {
  template = await createTemplateDatabase(LOOSE);
  api = await startTestApi();
  const bcrypt = await hash("y".repeat(72), 4);
  // The same as user 1 of the old database: an id that is taken.
  const { owner } = api.database;
  await owner.query(
    `insert into app_public.users (first_name, email, phone)
     values ('Demo', 'taken@example.com', '+4930000001')`,
  );
  await owner.query("insert into app_public.items (user_id, title) values (1, 'Demo item')");
  await template.pool.query(
    `insert into users (id, first_name, email, email_verified, phone, password_hash, picture, timezone,
       created_at, last_logged_in, deleted_at, is_deleted, reset_token, reset_token_expires)
     values
       (1, 'Taken id', 'one@example.com', false, null, $1, null, 'UTC', now(), null, null, false, null, null),
       (2, 'Older', 'Same@example.com', false, '+49 (30) 1234-567', $1, null, 'UTC', now(), '2020-01-01 12:00', null, false, null, null),
       (3, 'Later', 'same@example.com', false, null, $1, null, 'UTC', now(), '2024-01-01 12:00', null, false, null, null),
       (4, 'No phone', 'SAME@example.com', false, null, $1, null, 'UTC', now(), '2019-01-01', null, null, null, null),
       (5, 'Verified', 'proven@example.com', true, null, $1, null, 'UTC', now(), '2019-01-01', null, false, null, null),
       (6, 'Squatter', 'Proven@example.com', false, '+4930777777', $1, null, 'UTC', now(), '2025-01-01', null, false, null, null),
       (7, null, 'seven@example.com', false, null, $1, null, 'UTC', null, null, null, false, null, null),
       (8, repeat('x', 300) || e'\\n', 'eight@example.com', false, '030 123', $1, 'javascript:alert(1)', 'Mars/Base', now(), null, null, false, 'secret-reset', now() + interval '1 hour'),
       (9, 'No address', 'not an address', false, null, $1, null, 'UTC', now(), null, null, false, null, null),
       (10, 'By provider', 'not@an@address', false, null, null, null, 'UTC', now(), null, null, false, null, null),
       (11, 'Gone', 'gone@example.com', true, '+4930888888', $1, null, 'UTC', now(), null, '2024-05-05', true, null, null),
       (12, 'Half gone', 'half@example.com', true, null, $1, null, 'UTC', now(), null, null, true, null, null),
       (13, 'Taken here', 'Taken@Example.com', true, '+4930000001', $1, null, 'UTC', now(), null, null, false, null, null),
       (14, 'Plain', 'plain@example.com', false, null, 'plain-text-password', null, '', now(), null, null, false, null, null),
       (15, 'Long password', 'long@example.com', false, null, $1, 'https://example.com/a.png', 'UTC', now(), null, null, false, null, null),
       (16, 'Proven phone', 'unproven@example.com', false, '+4930999999', $1, null, 'UTC', '2020-01-01', null, null, false, null, null),
       (17, 'Facebook only', 'none', false, null, null, null, 'UTC', now(), null, null, false, null, null),
       (-5, 'Negative', 'minus@example.com', false, null, null, null, 'UTC', now(), null, null, false, null, null),
       (2147483647, 'Last id', 'last@example.com', false, null, null, null, 'UTC', now(), null, null, false, null, null)`,
    [bcrypt],
  );
  await template.pool.query("update users set phone_verified = true where id = 16");
  await template.pool.query(`
    insert into refresh_tokens (id, user_id, token, device_info, expires_at, is_revoked)
    select n, 15, 'refresh-token-that-is-long-enough-' || n, repeat('d', 600), now() + interval '1 day', false
    from generate_series(1, 25) n;
    insert into refresh_tokens (id, user_id, token, expires_at, is_revoked) values
      (31, 5, 'short', now() + interval '1 day', false),
      (32, 5, 'expired-expired-expired-expired-expired', now() - interval '1 day', false),
      (33, 5, 'revoked-revoked-revoked-revoked-revoked', now() + interval '1 day', true),
      (34, 11, 'of-a-deleted-user-of-a-deleted-user-of', now() + interval '1 day', false),
      (35, 99, 'of-nobody-of-nobody-of-nobody-of-nobody', now() + interval '1 day', false),
      (36, 5, 'twice-twice-twice-twice-twice-twice-twice', now() + interval '1 day', false),
      (37, 6, 'twice-twice-twice-twice-twice-twice-twice', 'infinity', false),
      (38, 1, 'of-a-skipped-user-of-a-skipped-user-of', now() + interval '1 day', false),
      (39, 7, 'for-ever-for-ever-for-ever-for-ever-for', 'infinity', null);
    insert into device_tokens (id, user_id, token, device_type) values
      (1, 5, 'phone', 'iOS'), (2, 6, 'phone', 'ios'), (3, 5, 'blackberry', 'blackberry'),
      (4, 5, 'with blank', 'android'), (5, 99, 'orphan', 'ios'), (6, null, 'nobody', 'ios'), (7, 5, null, 'ios');
    insert into notifications (id, users, event, message, sent_status, created_at) values
      (1, '{2,3,99,1}', 'Order Shipped!', 'Hello', true, now()), (2, '{}', 'a', 'b', true, now()),
      (3, '{99,1}', 'a', 'b', false, now()), (4, '{5,5,null}', '', '', false, now() + interval '3 years'),
      (5, '{5}', 'a', null, false, now()), (6, '{11}', 'a', 'for one who is gone', false, now()),
      (7, null, 'a', 'b', null, now()), (8, '{5}', 'a', repeat('x', 100001), true, now());
    insert into oauth2_credentials (id, user_id, provider, email, access_token) values
      (1, 10, 'GOOGLE', 'Ten@example.com', 'token'), (2, 5, 'myspace', 'x@example.com', 'x'),
      (3, 5, 'github', 'five@example.com', ''), (4, 5, 'github', 'FIVE@example.com', null),
      (5, 6, 'github', 'five@example.com', repeat('t', 100001)), (6, 11, 'google', 'gone@example.com', 'x'),
      (7, 17, 'facebook', 'seventeen@example.com', 'x'), (8, 5, 'facebook', 'proven@example.com', 'x');
    insert into items (id, user_id, title, data) values
      (1, 5, 'Taken id', null), (2, 5, 'Null byte', '{"a": "\\u0000"}'), (3, 5, 'Half', '"\\ud800"'),
      (4, 5, '', null), (5, 5, repeat('x', 201), null), (6, 5, null, null), (7, 99, 'Orphan', null),
      (8, 12, 'Of a closed account', null), (9, 5, 'Big', ('"' || repeat('x', 70000) || '"')::json),
      (10, 5, 'Huge', ('"' || repeat('x', 300000) || '"')::json),
      (11, 5, 'Deep', (repeat('[', 101) || repeat(']', 101))::json),
      (12, 5, 'Brackets in text', ('"' || repeat('[', 500) || '"')::json),
      (13, 5, 'Good', '{"a": [1, "\\u00e9"]}');
    insert into items (id, user_id, title, description) values (14, 5, 'Long', repeat('x', 10001));
    create table orders (id int);
    alter table items add column colour text`);
  report = await importFrom(template.url, api.database);
}, 60_000);
afterAll(async () => {
  await api.stop();
  await template.drop();
});

const users = async (...ids: number[]) => {
  const { rows } = await api.database.owner.query(
    `select id, first_name, email, phone, timezone, is_deleted from app_public.users
     where id = any ($1) order by id`,
    [ids],
  );
  return rows;
};

describe("of users", () => {
  it("each that is skipped or changed is named with the reason", () => {
    expect(report.tables.users.skippedFor).toEqual({
      id_out_of_range: [-5, 2147483647],
      id_taken: [1],
      locked_out_email_invalid: [9, 17],
      locked_out_email_of_another: [4],
      locked_out_email_taken_here: [13],
    });
    expect(report.tables.users.noted).toEqual({
      account_closed: [11, 12],
      created_at_missing: [7],
      email_invalid: [10],
      email_of_another: [2, 6],
      first_name_missing: [7],
      name_shortened: [8],
      password_hash_unknown: [14],
      phone_invalid: [8],
      picture_invalid: [8],
      reset_link_ends: [8],
      timezone_unknown: [8, 14],
    });
  });

  it("who has proven an address keeps it, else who was here last; the other keeps the phone", async () => {
    expect(await users(2, 3, 5, 6)).toMatchObject([
      { email: null, phone: "+49301234567" },
      { email: "same@example.com" },
      { email: "proven@example.com" },
      { email: null, phone: "+4930777777" },
    ]);
  });

  it("a closed account keeps its id and nothing else", async () => {
    const gone = { first_name: "Deleted", email: null, phone: null, is_deleted: true };
    expect(await users(11, 12)).toMatchObject([gone, gone]);
    const { rows } = await api.database.owner.query(
      "select from app_private.user_secrets where user_id in (11, 12)",
    );
    expect(rows).toEqual([]);
  });

  it("who was here already keeps id, address and items", async () => {
    expect(await users(1)).toMatchObject([{ first_name: "Demo", email: "taken@example.com" }]);
    expect(await users(13)).toEqual([]);
  });

  it("a password of 72 bytes logs in, and a hash that is none is no password", async () => {
    const logIn = async (identifier: string, password: string) =>
      (
        await api.graphql(
          "mutation ($input: LogInInput!) { logIn(input: $input) { tokens { userId } } }",
          { variables: { input: { identifier, password } } },
        )
      ).errors.map(({ extensions }) => extensions.code);
    expect(await logIn("long@example.com", "y".repeat(72))).toEqual([]);
    expect(await logIn("+4930 1234567", "y".repeat(72))).toEqual([]);
    expect(await logIn("plain@example.com", "plain-text-password")).toEqual(["UNAUTHENTICATED"]);
  });

  it("who has proven only a phone does not lose the e-mail address within the hour", async () => {
    await api.database.owner.query("select app_private.release_unproven_addresses(100)");
    expect(await users(16)).toMatchObject([{ email: "unproven@example.com" }]);
  });

  it("times without a zone are read as UTC, and the report says so", async () => {
    expect(report.readAsUtc).toEqual(["users.last_logged_in"]);
    const { rows } = await api.database.owner.query(
      "select last_logged_in = '2024-01-01 12:00+00' as is_utc from app_public.users where id = 3",
    );
    expect(rows).toEqual([{ is_utc: true }]);
  });
});

describe("of the other tables", () => {
  it("refresh tokens that are not live, too many or too short are skipped", () => {
    const { refresh_tokens: table } = report.tables;
    expect(table.skippedFor).toEqual({
      token_expired: [32],
      token_revoked: [33],
      token_twice: [37],
      token_unusable: [31],
      too_many_sessions: [1, 2, 3, 4, 5],
      user_deleted: [34],
      user_missing: [35],
      user_skipped: [38],
    });
    expect(table.moved).toBe(22);
  });

  it("devices of unknown kind, twice, with blanks or of nobody are skipped", () => {
    expect(report.tables.device_tokens.skippedFor).toEqual({
      device_tokens_token_ascii: [4],
      device_type_unknown: [3],
      token_missing: [7],
      token_twice: [1],
      user_missing: [5, 6],
    });
  });

  it("notifications reach nobody whom they were not for", async () => {
    const { notifications } = report.tables;
    expect(notifications.skippedFor).toEqual({
      message_missing: [5],
      message_too_long: [8],
      no_known_user: [3],
      no_users: [2, 7],
    });
    expect(notifications.noted).toMatchObject({
      event_renamed: [1, 4],
      never_sent: [4, 6],
      unknown_users_left_out: [1],
    });
    const { rows } = await api.database.owner.query(
      `select n.id, n.users, n.event, n.data ->> 'template_event' as old, n.expires_at < now() + interval '2 s' as is_over,
         array(select r.user_id from app_public.notification_recipients r
           where r.notification_id = n.id order by 1) as inbox
       from app_public.notifications n order by n.id`,
    );
    expect(rows).toEqual([
      {
        id: 1,
        users: [2, 3],
        event: "order_shipped_",
        old: "Order Shipped!",
        is_over: true,
        inbox: [2, 3],
      },
      { id: 4, users: [5], event: "imported", old: "", is_over: true, inbox: [5] },
      { id: 6, users: [11], event: "a", old: null, is_over: true, inbox: [] },
    ]);
  });

  it("identities of unknown providers, twice or of closed accounts are skipped", () => {
    const { oauth2_credentials: table } = report.tables;
    expect(table.skippedFor).toEqual({
      credential_twice: [3],
      provider_unknown: [2],
      user_deleted: [6],
      user_skipped: [7],
    });
    expect(table.noted).toEqual({
      facebook_to_be_linked: [8],
      provider_account_of_several: [4, 5],
      provider_token_too_long: [5],
    });
  });

  it("items that do not fit are skipped whole, those that do are as they were", async () => {
    expect(report.tables.items.skippedFor).toEqual({
      data_invalid: [2, 3],
      data_too_deep: [11],
      id_taken: [1],
      items_data_size: [9, 10],
      items_description_length: [14],
      items_title_length: [4, 5],
      title_missing: [6],
      user_deleted: [8],
      user_missing: [7],
    });
    const { rows } = await api.database.owner.query(
      "select data from app_public.items where id = 13",
    );
    expect(rows).toEqual([{ data: { a: [1, "é"] } }]);
  });

  it("every row is accounted for, and what is not the template's is named", () => {
    for (const table of Object.values(report.tables)) {
      const skipped = Object.values(table.skippedFor).flat();
      expect(skipped).toHaveLength(table.skipped);
      expect(table.moved + table.present + table.skipped).toBe(table.rows);
    }
    expect(report.notMoved).toEqual(["orders", "items.colour"]);
  });

  it("a second run skips the same, and moves what was mended in the old database", async () => {
    await template.pool.query("update users set email = 'nine@example.com' where id = 9");
    await template.pool.query("update items set title = 'Mended' where id = 4");
    const second = await importFrom(template.url, api.database);
    expect(second.tables.users).toMatchObject({ moved: 1, present: 12 });
    expect(second.tables.items).toMatchObject({ moved: 1, present: 2 });
    expect(second.tables.refresh_tokens.moved).toBe(0);
    expect(await users(9)).toMatchObject([{ email: "nine@example.com" }]);
  });
});
