import { readFile } from "node:fs/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ERROR_CODES } from "../../src/errors.ts";
import { SQLSTATE_CODES } from "../../src/graphql/errors.ts";
import { createLogger } from "../../src/logger.ts";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let account: Account;
const log: string[] = [];

beforeAll(async () => {
  api = await startTestApi({
    logger: createLogger({ pretty: false, level: "trace" }, { write: (line) => log.push(line) }),
  });
  account = await api.signUp();
});
afterAll(() => api.stop());

describe("errors", () => {
  it("what is not understood is INTERNAL with the id that stands in the log, and says nothing else", async () => {
    await api.database.owner.query(`
      create or replace function app_public.users_unread_notification_count(u app_public.users) returns int
      language plpgsql stable
      as $$ begin raise exception 'secret detail of table app_private.user_secrets'; end $$`);
    const { errors } = await api.graphql("{ me { unreadNotificationCount } }", {
      token: account.token,
    });
    expect(errors[0]?.message).toBe("Something went wrong on our side.");
    expect(errors[0]?.extensions.code).toBe("INTERNAL");
    expect(JSON.stringify(errors)).not.toMatch(/secret|app_private|_count/);
    const line = log.find((entry) => entry.includes(errors[0]?.extensions.errorId as string));
    expect(line).toContain("secret detail");
  });

  it("a permission that is missing is FORBIDDEN for a user and UNAUTHENTICATED for nobody", async () => {
    const mutation =
      'mutation { sendNotification(input: {users: [1], event: "e", message: "m"}) { notification { id } } }';
    const user = await api.graphql(mutation, { token: account.token });
    expect(user.errors[0]?.extensions.code).toBe("FORBIDDEN");
    const nobody = await api.graphql(mutation);
    expect(nobody.errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    const { rowCount } = await api.database.owner.query("select from app_public.notifications");
    expect(rowCount).toBe(0);
  });

  it("a value that GraphQL itself refuses is BAD_USER_INPUT with the field, as a variable and as a literal", async () => {
    const sent = (mutation: string, type: string, input: object) =>
      api.graphql(
        `mutation ($input: ${type}!) { ${mutation}(input: $input) { clientMutationId } }`,
        {
          variables: { input },
        },
      );
    const person = { email: "field@example.com", password: "a long password" };
    const answers = await Promise.all([
      sent("signUp", "SignUpInput", person),
      sent("signUp", "SignUpInput", {
        ...person,
        firstName: 'A" at "input.email"; ',
        lastname: "B",
      }),
      sent("updateMe", "UpdateMeInput", { patch: { lastName: ["B"] } }),
      sent("sendNotification", "SendNotificationInput", {
        users: [1, "x"],
        event: "e",
        message: "m",
      }),
      api.graphql(
        'mutation { signUp(input: {email: "a@b.de", password: "x"}) { clientMutationId } }',
      ),
      api.graphql("mutation { updateMe(input: {patch: {nickname: 1}}) { clientMutationId } }"),
    ]);
    expect(answers.map(({ errors }) => errors[0]?.extensions)).toEqual(
      ["firstName", "lastname", "lastName", "users", "firstName", "nickname"].map((field) => ({
        code: "BAD_USER_INPUT",
        field,
      })),
    );
  });

  it("a value that PostgreSQL refuses is named by its field, as a variable and as a literal", async () => {
    const operator = await api.signUpOperator();
    const times =
      'mutation ($starts: Time!) { setQuietHours(input: {starts: $starts, ends: "07:00"}) { clientMutationId } }';
    const item =
      "mutation ($item: ItemInput!) { createItem(input: {item: $item}) { item { id } } }";
    const items = "query ($filter: ItemFilter) { items(filter: $filter) { totalCount } }";
    const NUL = "a\0b";
    const asked: [string, string, Record<string, unknown>?][] = [
      ["starts", times, { starts: "25:00" }],
      [
        "sendAt",
        `mutation { sendNotification(input: {users: [${operator.userId}], event: "e", message: "m", sendAt: "nonsense"})
          { notification { id } } }`,
      ],
      ["createdAt", items, { filter: { or: [{ createdAt: { greaterThan: "yesterday-ish" } }] } }],
      [
        "createdAt",
        '{ ...Q } fragment Q on Query { items(filter: {createdAt: {in: ["x"]}}) { totalCount } }',
      ],
      ["title", item, { item: { title: NUL } }],
      ["data", item, { item: { title: "a", data: { deep: { down: [NUL] } } } }],
      ["title", items, { filter: { title: { equalTo: null } } }],
      ["and", "{ items(filter: {and: null}) { totalCount } }"],
      ["after", '{ items(after: "nonsense") { nodes { id } } }'],
      ["before", '{ items(last: 2, before: "nonsense") { nodes { id } } }'],
      ["offset", "{ items(last: 2, offset: 1) { nodes { id } } }"],
      ["first", "query ($first: Int) { items(first: $first) { totalCount } }", { first: "many" }],
      ["starts", times, {}],
      ["starts", times, { starts: null }],
      ["frist", "{ items(frist: 1) { totalCount } }"],
      ["id", "{ item { title } }"],
      ["search", "{ searchItems { totalCount } }"],
      ["messageId", "mutation { acknowledgeDelivery(input: {}) { clientMutationId } }"],
      ["deviceType", 'mutation { registerDevice(input: {token: "t"}) { clientMutationId } }'],
      ["id", "mutation { disableUser(input: {}) { clientMutationId } }"],
      [
        "event",
        'mutation { sendNotification(input: {users: [1], message: "m"}) { clientMutationId } }',
      ],
    ];
    for (const [field, query, variables = {}] of asked) {
      const { errors } = await api.graphql(query, { token: operator.token, variables });
      expect(errors[0]?.extensions, query).toMatchObject({ code: "BAD_USER_INPUT", field });
    }
    // Two places are none.
    const { errors } = await api.graphql(
      '{ items(filter: {createdAt: {equalTo: "x"}}) { totalCount } searchItems(search: "x") { totalCount } }',
      { token: operator.token },
    );
    expect(errors[0]?.message).toBe("This is no date or time.");
    expect(errors[0]?.extensions).toEqual({
      code: "BAD_USER_INPUT",
      hint: "Write it as 2027-01-31T09:30:00Z, a time alone as 09:30.",
    });
  });

  it("no password, token or address of the suite's requests is in the log", async () => {
    const { email, token, refreshToken } = await api.signUp("log-me-not@example.com");
    await api.graphql("{ me { email } }", { token });
    await api.graphql(
      `mutation { refreshTokens(input: {refreshToken: "${refreshToken}"}) { tokens { userId } } }`,
    );
    await api.graphql(
      `mutation { logIn(input: {identifier: "${email}", password: "wrong password"}) { tokens { userId } } }`,
    );
    const text = log.join("");
    expect(text).toContain('"path":"/graphql"');
    for (const secret of [email, token, refreshToken, "wrong password", "correct horse battery"]) {
      expect(text).not.toContain(secret);
    }
  });

  it("a database that is away is UNAVAILABLE, and the next request after it is back works", async () => {
    const client = new pg.Client({ connectionString: api.database.superuserUrl });
    await client.connect();
    const { rowCount } = await client.query(`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'howdah api' and datname = current_database()`);
    await client.end();
    expect(rowCount).toBeGreaterThan(0);
    // Whichever connection the pool gives: at the latest the second is a new one.
    const answers = [];
    for (let i = 0; i < 3; i += 1) {
      answers.push(await api.graphql("{ items { totalCount } }", { token: account.token }));
    }
    expect(answers.at(-1)?.data.items.totalCount).toBe(0);
    for (const { errors } of answers) {
      for (const { extensions } of errors) expect(extensions.code).toBe("UNAVAILABLE");
    }
  });

  it("docs/error-codes.md has a row for each SQLSTATE that is translated, with its code", async () => {
    const page = await readFile("docs/error-codes.md", "utf8");
    const rows = new Map(
      [...page.matchAll(/^\| `(\w+)` +\| `(\w+)` +\|/gm)].map(([, sqlstate, code]) => [
        sqlstate,
        code,
      ]),
    );
    expect(Object.fromEntries(rows)).toEqual(
      Object.fromEntries(
        Object.entries(SQLSTATE_CODES).map(([sqlstate, { code }]) => [sqlstate, code]),
      ),
    );
  });

  it("docs/error-codes.md has a row for each code, and no other", async () => {
    const page = await readFile("docs/error-codes.md", "utf8");
    const [codes = ""] = page.split("## From SQL");
    expect([...codes.matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code)).toEqual(ERROR_CODES);
  });
});
