import { afterAll, beforeAll, expect, it } from "vitest";
import { PASSWORD, startTestApi, type TestApi } from "../support/api.ts";
import { RETURN_URL, signInWith } from "../support/browser.ts";
import { howdah } from "../support/howdah.ts";
import { type FakeGoogle, startGoogle } from "../support/providers.ts";

let api: TestApi;
let google: FakeGoogle;
beforeAll(async () => {
  google = await startGoogle();
  api = await startTestApi({
    environment: { ...google.environment, ALLOWED_REDIRECTS: RETURN_URL },
  });
});
afterAll(async () => {
  await api.stop();
  await google.stop();
});

const logIn = (identifier: string, password = PASSWORD) =>
  api.graphql(
    `mutation ($input: LogInInput!) { logIn(input: $input) { tokens { accessToken refreshToken } } }`,
    { variables: { input: { identifier, password } } },
  );

it("a disabled user has no session, gets no push, and is answered like one with a wrong password", async () => {
  const { owner, ownerUrl } = api.database;
  const { userId, email, token, refreshToken } = await api.signUp();
  await api.graphql(
    'mutation { registerDevice(input: {token: "their-phone", deviceType: IOS}) { deviceToken { id } } }',
    { token },
  );
  expect(await howdah(ownerUrl, "user:disable", email, "--reason", "chargeback")).toEqual({
    code: 0,
    output: `User ${userId} is disabled.`,
  });
  expect((await howdah(ownerUrl, "user:disable", email, "--reason", " ")).output).toBe(
    `User ${userId} was disabled already.`,
  );

  const refused = await api.graphql("{ me { id } }", { token });
  expect(refused.status).toBe(401);
  expect(refused.errors[0]?.extensions.code).toBe("SESSION_REVOKED");
  const refreshed = await api.graphql(
    `mutation { refreshTokens(input: {refreshToken: "${refreshToken}"}) { tokens { userId } } }`,
  );
  expect(refreshed.errors[0]?.extensions.code).toBe("SESSION_REVOKED");

  const right = await logIn(email);
  const wrong = await logIn(email, "wrong password");
  expect(right.errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
  expect(right.errors).toEqual(wrong.errors);
  expect(right.data).toEqual(wrong.data);

  // Nor does a link lead back: it would be to an account that can do nothing.
  await owner.query("select app_private.start_password_reset($1, '{}')", [email]);
  const { rows: links } = await owner.query(
    "select from app_private.user_tokens where user_id = $1 and purpose = 'password_reset'",
    [userId],
  );
  expect(links).toEqual([]);

  const { rows: devices } = await owner.query(
    "select disabled_reason from app_public.device_tokens where user_id = $1",
    [userId],
  );
  expect(devices).toEqual([{ disabled_reason: "logged_out" }]);
  await expect(
    owner.query("insert into app_public.sessions (user_id) values ($1)", [userId]),
  ).rejects.toMatchObject({ code: "HWFBD" });

  expect((await howdah(ownerUrl, "user:show", email)).output).toContain("chargeback");
  expect(await howdah(ownerUrl, "user:enable", String(userId))).toEqual({
    code: 0,
    output: `User ${userId} is enabled.`,
  });
  expect((await howdah(ownerUrl, "user:enable", email)).output).toBe(
    `User ${userId} was not disabled.`,
  );
  expect((await logIn(email)).data.logIn.tokens.accessToken).toBeDefined();
  const { rows: events } = await owner.query(
    "select kind from app_private.security_events where user_id = $1 order by id",
    [userId],
  );
  expect(events.map(({ kind }) => kind)).toEqual([
    "signed_up",
    "account_disabled",
    "log_in_failed",
    "log_in_failed",
    "account_enabled",
    "logged_in",
  ]);
});

it("a disabled user who comes by a provider is FORBIDDEN", async () => {
  const { tokens } = await signInWith(api, "google");
  await howdah(api.database.ownerUrl, "user:disable", String(tokens.userId));
  const { tokens: none, errors } = await signInWith(api, "google");
  expect(none).toBeUndefined();
  expect(errors[0]).toMatchObject({
    message: "This account is disabled.",
    extensions: { code: "FORBIDDEN", hint: "Write to those who run this service." },
  });
});

it("an operator disables and enables by the API, but no other operator; a user neither may nor sees why", async () => {
  const operator = await api.signUpOperator();
  const other = await api.signUpOperator();
  const { userId, email, token } = await api.signUp();
  const disable = (asker: string, id: number, reason: string | null = null) =>
    api.graphql(
      `mutation ($id: Int!, $reason: String) {
        disableUser(input: {id: $id, reason: $reason}) { user { id disabledReason } }
      }`,
      { token: asker, variables: { id, reason } },
    );
  const enable = (asker: string, id: number) =>
    api.graphql(
      `mutation { enableUser(input: {id: ${id}}) { user { id disabledAt disabledReason } } }`,
      {
        token: asker,
      },
    );
  for (const answer of [await disable(token, userId), await enable(token, userId)]) {
    expect(answer.errors[0]?.extensions.code).toBe("FORBIDDEN");
  }
  const refused = await disable(operator.token, other.userId);
  expect(refused.errors[0]?.extensions).toMatchObject({
    code: "FORBIDDEN",
    hint: "Take the role away first: npm run howdah -- operator:revoke.",
  });
  const long = await disable(operator.token, userId, "x".repeat(501));
  expect(long.errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "reason" });
  const unknown = await disable(operator.token, 2 ** 31 - 1);
  expect(unknown.errors[0]?.extensions.code).toBe("NOT_FOUND");

  const done = await disable(operator.token, userId, "chargeback");
  expect(done.data.disableUser.user).toEqual({ id: userId, disabledReason: "chargeback" });
  expect((await api.graphql("{ me { id } }", { token })).status).toBe(401);
  expect((await logIn(email)).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
  const enabled = await enable(operator.token, userId);
  expect(enabled.data.enableUser.user).toEqual({
    id: userId,
    disabledAt: null,
    disabledReason: null,
  });
  const { data } = await logIn(email);
  // Written down again, so that there is something to hide.
  await api.database.owner.query(
    "insert into app_private.disabled_users (user_id, reason) values ($1, 'secret')",
    [userId],
  );
  const seen = await api.graphql("{ me { id disabledAt disabledReason } }", {
    token: data.logIn.tokens.accessToken,
  });
  expect(seen.data.me).toEqual({ id: userId, disabledAt: null, disabledReason: null });
});

it("the command takes an operator's account, and says so; no reason is kept for an empty one", async () => {
  const { owner, ownerUrl } = api.database;
  const { userId, email } = await api.signUpOperator();
  const { code, output } = await howdah(ownerUrl, "user:disable", email, "--reason", " ");
  expect(code).toBe(0);
  expect(output).toContain(`User ${userId} is disabled.`);
  expect(output).toContain("This is an operator, and will be one again once enabled");
  const { rows } = await owner.query(
    "select reason from app_private.disabled_users where user_id = $1",
    [userId],
  );
  expect(rows).toEqual([{ reason: null }]);
});

it("a disabled user's links and codes are void, and stay so when the account is enabled again", async () => {
  const { owner } = api.database;
  const { userId, email, token } = await api.signUp();
  await api.graphql(
    'mutation { updateMe(input: {patch: {email: "thief@example.com"}}) { user { id } } }',
    { token },
  );
  const waiting = () =>
    owner.query("select from app_private.user_tokens where user_id = $1 and used_at is null", [
      userId,
    ]);
  expect((await waiting()).rowCount).toBe(1);
  // As the worker arms it; the thief has this link in their mailbox.
  const link = "t".repeat(43);
  await owner.query(
    "select app_private.arm_proof($1, 'email_verification', sha256(convert_to($2, 'utf8')))",
    [userId, link],
  );
  const verify = () =>
    api.graphql(`mutation { verifyEmail(input: {token: "${link}"}) { user { id } } }`);
  await howdah(api.database.ownerUrl, "user:disable", email);
  expect((await waiting()).rowCount).toBe(0);
  expect((await verify()).errors[0]?.extensions).toMatchObject({ field: "token" });
  await howdah(api.database.ownerUrl, "user:enable", email);
  expect((await verify()).errors[0]?.extensions).toMatchObject({ field: "token" });
  expect((await logIn(email)).errors).toEqual([]);
});
