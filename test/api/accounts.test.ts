import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PASSWORD, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

const TOKENS = "tokens { accessToken refreshToken tokenType userId expiresIn }";
const SIGN_UP = `mutation ($input: SignUpInput!) { signUp(input: $input) { clientMutationId ${TOKENS} } }`;
const LOG_IN = `mutation ($input: LogInInput!) { logIn(input: $input) { ${TOKENS} } }`;
const REFRESH = `mutation ($input: RefreshTokensInput!) { refreshTokens(input: $input) { ${TOKENS} } }`;
const LOG_OUT = "mutation { logOut(input: {}) { clientMutationId } }";

function person(fields: Record<string, unknown> = {}) {
  const unique = Math.random().toString(36).slice(2);
  return {
    input: { email: `${unique}@example.com`, password: PASSWORD, firstName: "Ann", ...fields },
  };
}

async function refresh(refreshToken: string) {
  return api.graphql(REFRESH, { variables: { input: { refreshToken } } });
}

/** Lets time pass for the refresh tokens of a user: their past moves back. */
async function passSeconds(userId: number, seconds: number): Promise<void> {
  await api.database.owner.query(
    `update app_private.refresh_tokens t set rotated_at = rotated_at - make_interval(secs => $2)
     from app_public.sessions s where s.id = t.session_id and s.user_id = $1`,
    [userId, seconds],
  );
}

describe("signing up", () => {
  it("answers with tokens that work at once, and takes the client's mutation id along", async () => {
    const { data, errors } = await api.graphql(SIGN_UP, {
      variables: person({ clientMutationId: "m1", lastName: "Lee", timezone: "Asia/Kolkata" }),
    });
    expect(errors).toEqual([]);
    expect(data.signUp.clientMutationId).toBe("m1");
    expect(data.signUp.tokens).toMatchObject({ tokenType: "Bearer", expiresIn: 900 });
    const { data: me } = await api.graphql(
      "{ me { id firstName lastName timezone emailVerified phoneVerified isDeleted } }",
      { token: data.signUp.tokens.accessToken },
    );
    expect(me.me).toEqual({
      id: data.signUp.tokens.userId,
      firstName: "Ann",
      lastName: "Lee",
      timezone: "Asia/Kolkata",
      emailVerified: false,
      phoneVerified: false,
      isDeleted: false,
    });
  });

  it("works with a phone number alone, however it is written", async () => {
    const variables = person({ email: null, phone: "+49 (30) 555-0001" });
    const { data, errors } = await api.graphql(SIGN_UP, { variables });
    expect(errors).toEqual([]);
    const { data: me } = await api.graphql("{ me { phone email } }", {
      token: data.signUp.tokens.accessToken,
    });
    expect(me.me).toEqual({ phone: "+49305550001", email: null });
    const logIn = await api.graphql(LOG_IN, {
      variables: { input: { identifier: "+49305550001", password: PASSWORD } },
    });
    expect(logIn.data.logIn.tokens.userId).toBe(data.signUp.tokens.userId);
  });

  it("with a taken address in another case or Unicode form is a CONFLICT that names the field", async () => {
    const name = `ren\u00e9-${Math.random().toString(36).slice(2)}`;
    await api.graphql(SIGN_UP, { variables: person({ email: `${name}@example.com` }) });
    const again = await api.graphql(SIGN_UP, {
      variables: person({ email: ` ${name.normalize("NFD").toUpperCase()}@Example.com ` }),
    });
    expect(again.errors[0]).toMatchObject({
      message: "This e-mail address is taken.",
      extensions: { code: "CONFLICT", field: "email" },
    });
  });

  it("fifty times at once with one address makes one account", async () => {
    const email = `many-${Math.random().toString(36).slice(2)}@example.com`;
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        api.graphql(SIGN_UP, {
          variables: person({ email: i % 2 ? email : email.toUpperCase() }),
        }),
      ),
    );
    expect(answers.filter(({ errors }) => errors.length === 0)).toHaveLength(1);
    expect(new Set(answers.flatMap(({ errors }) => errors.map((e) => e.extensions.code)))).toEqual(
      new Set(["CONFLICT"]),
    );
  }, 30_000);

  it.each([
    ["a password of 7 characters", { password: "1234567" }, "password"],
    ["a password of 257 characters", { password: "x".repeat(257) }, "password"],
    ["a password with NUL", { password: "12345678\0" }, "password"],
    ["neither e-mail nor phone", { email: null }, "email"],
    ["no e-mail address", { email: "nobody" }, "email"],
    ["an e-mail address with a line break", { email: "a@b.example\nBcc: c@d.example" }, "email"],
    ["an empty first name", { firstName: "  " }, "firstName"],
    ["a first name of 101 characters", { firstName: "x".repeat(101) }, "firstName"],
    ["a phone number without country code", { phone: "030123456" }, "phone"],
    ["an unknown time zone", { timezone: "Mars/Olympus" }, "timezone"],
    ["a POSIX time zone", { timezone: "FOO+3" }, "timezone"],
    ["device info of 501 characters", { deviceInfo: "x".repeat(501) }, "deviceInfo"],
  ])("with %s is BAD_USER_INPUT and makes no account", async (_what, fields, field) => {
    const variables = person(fields);
    const { errors } = await api.graphql(SIGN_UP, { variables });
    expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field });
    const { rowCount } = await api.database.owner.query(
      "select from app_public.users where email = $1",
      [variables.input.email],
    );
    expect(rowCount).toBe(0);
  });

  it("takes passwords of 64 and 256 characters and of any script", async () => {
    for (const password of [
      "x".repeat(64),
      "y".repeat(256),
      "пароль из слов",
      "🐘🐘🐘🐘🐘🐘🐘🐘",
    ]) {
      const variables = person({ password });
      expect((await api.graphql(SIGN_UP, { variables })).errors).toEqual([]);
      const { errors } = await api.graphql(LOG_IN, {
        variables: { input: { identifier: variables.input.email, password } },
      });
      expect(errors).toEqual([]);
    }
  });
});

describe("logging in", () => {
  it("opens a session that knows its device", async () => {
    const { email } = await api.signUp();
    const { data } = await api.graphql(LOG_IN, {
      variables: {
        input: { identifier: email.toUpperCase(), password: PASSWORD, deviceInfo: "Pixel" },
      },
    });
    const { data: seen } = await api.graphql(
      "{ sessions { nodes { deviceInfo isCurrent } } me { lastLoggedIn } }",
      { token: data.logIn.tokens.accessToken },
    );
    expect(seen.sessions.nodes).toEqual([
      { deviceInfo: null, isCurrent: false },
      { deviceInfo: "Pixel", isCurrent: true },
    ]);
    expect(seen.me.lastLoggedIn).not.toBeNull();
  });

  it("with a wrong password and with an unknown address gives one and the same answer", async () => {
    const { email } = await api.signUp();
    const wrong = await api.graphql(LOG_IN, {
      variables: { input: { identifier: email, password: "not the password" } },
    });
    const unknown = await api.graphql(LOG_IN, {
      variables: { input: { identifier: "nobody@example.com", password: "not the password" } },
    });
    expect(wrong).toEqual(unknown);
    expect(wrong.errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });

  it("of a deleted user is refused, and the address is free again", async () => {
    const { email, userId, token } = await api.signUp();
    await api.database.owner.query("update app_public.users set deleted_at = now() where id = $1", [
      userId,
    ]);
    const { errors } = await api.graphql(LOG_IN, {
      variables: { input: { identifier: email, password: PASSWORD } },
    });
    expect(errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect((await api.graphql("{ me { id } }", { token })).status).toBe(401);
    expect((await api.graphql(SIGN_UP, { variables: person({ email }) })).errors).toEqual([]);
  });

  it("replaces a hash that was made with other parameters", async () => {
    const { email, userId } = await api.signUp();
    const { hash } = await import("@node-rs/argon2");
    const old = await hash(PASSWORD, { memoryCost: 8192, timeCost: 1, parallelism: 1 });
    const secrets = () =>
      api.database.owner.query<{ password_hash: string }>(
        "select password_hash from app_private.user_secrets where user_id = $1",
        [userId],
      );
    await api.database.owner.query(
      "update app_private.user_secrets set password_hash = $2 where user_id = $1",
      [userId, old],
    );
    const { errors } = await api.graphql(LOG_IN, {
      variables: { input: { identifier: email, password: PASSWORD } },
    });
    expect(errors).toEqual([]);
    expect((await secrets()).rows[0]?.password_hash).toMatch(
      /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/,
    );
  });
});

describe("refreshing", () => {
  it("gives new tokens, and the ones before it no more", async () => {
    const { refreshToken, userId } = await api.signUp();
    const first = await refresh(refreshToken);
    const tokens = first.data.refreshTokens.tokens;
    expect(tokens.userId).toBe(userId);
    expect(tokens.refreshToken).not.toBe(refreshToken);
    const second = await refresh(tokens.refreshToken);
    expect(second.errors).toEqual([]);
  });

  it("the parent within 10 seconds gets the same current token again", async () => {
    const { refreshToken } = await api.signUp();
    const first = await refresh(refreshToken);
    const again = await refresh(refreshToken);
    expect(again.data.refreshTokens.tokens.refreshToken).toBe(
      first.data.refreshTokens.tokens.refreshToken,
    );
  });

  it("fifty times at once with one token leaves one live lineage and nobody logged out", async () => {
    const { refreshToken, userId } = await api.signUp();
    const answers = await Promise.all(Array.from({ length: 50 }, () => refresh(refreshToken)));
    expect(answers.flatMap(({ errors }) => errors)).toEqual([]);
    const current = new Set(answers.map(({ data }) => data.refreshTokens.tokens.refreshToken));
    expect(current.size).toBe(1);
    const { rows } = await api.database.owner.query(
      `select count(*)::int as tokens, count(*) filter (where t.rotated_at is null)::int as live
       from app_private.refresh_tokens t join app_public.sessions s on s.id = t.session_id
       where s.user_id = $1`,
      [userId],
    );
    expect(rows).toEqual([{ tokens: 2, live: 1 }]);
    expect((await refresh([...current][0] as string)).errors).toEqual([]);
  });

  it("the parent after 10 seconds ends the session, and that commits", async () => {
    const { refreshToken, userId, token } = await api.signUp();
    const { data } = await refresh(refreshToken);
    await passSeconds(userId, 11);
    const reused = await refresh(refreshToken);
    expect(reused.errors[0]?.extensions.code).toBe("SESSION_REVOKED");
    const { rows } = await api.database.owner.query(
      "select revoked_reason from app_public.sessions where user_id = $1",
      [userId],
    );
    expect(rows).toEqual([{ revoked_reason: "refresh_token_reuse" }]);
    const live = await refresh(data.refreshTokens.tokens.refreshToken);
    expect(live.errors[0]?.extensions.code).toBe("SESSION_REVOKED");
    expect((await api.graphql("{ me { id } }", { token })).status).toBe(401);
  });

  it("the grandparent within 10 seconds ends the session", async () => {
    const { refreshToken } = await api.signUp();
    const { data } = await refresh(refreshToken);
    await refresh(data.refreshTokens.tokens.refreshToken);
    const reused = await refresh(refreshToken);
    expect(reused.errors[0]?.extensions.code).toBe("SESSION_REVOKED");
  });

  it("the grace does not slide with its use", async () => {
    const { refreshToken, userId } = await api.signUp();
    await refresh(refreshToken);
    await passSeconds(userId, 9);
    expect((await refresh(refreshToken)).errors).toEqual([]);
    await passSeconds(userId, 2);
    expect((await refresh(refreshToken)).errors[0]?.extensions.code).toBe("SESSION_REVOKED");
  });

  it("the grace does not revive a session that has been logged out", async () => {
    const { refreshToken } = await api.signUp();
    const { data } = await refresh(refreshToken);
    await api.graphql(LOG_OUT, { token: data.refreshTokens.tokens.accessToken });
    expect((await refresh(refreshToken)).errors[0]?.extensions.code).toBe("SESSION_REVOKED");
  });

  it("ends after 30 idle days, and 90 days after log-in in any case", async () => {
    const idle = await api.signUp();
    await api.database.owner.query(
      `update app_private.refresh_tokens t set expires_at = now()
       from app_public.sessions s where s.id = t.session_id and s.user_id = $1`,
      [idle.userId],
    );
    expect((await refresh(idle.refreshToken)).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    const old = await api.signUp();
    await api.database.owner.query(
      "update app_public.sessions set expires_at = now() where user_id = $1",
      [old.userId],
    );
    expect((await refresh(old.refreshToken)).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    const { rows } = await api.database.owner.query(
      `select
         extract(day from t.expires_at - t.created_at)::int as idle_days,
         extract(day from s.expires_at - s.created_at)::int as absolute_days
       from app_private.refresh_tokens t join app_public.sessions s on s.id = t.session_id
       where s.user_id = $1`,
      [(await api.signUp()).userId],
    );
    expect(rows).toEqual([{ idle_days: 30, absolute_days: 90 }]);
  });

  it.each(["", "x", "not-a-token", "\0"])("with %j is UNAUTHENTICATED", async (token) => {
    expect((await refresh(token)).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });

  it("the database holds no refresh token in clear", async () => {
    const { refreshToken } = await api.signUp();
    const { rows } = await api.database.owner.query(
      "select token_hash from app_private.refresh_tokens where token_hash = $1",
      [createHash("sha256").update(refreshToken).digest()],
    );
    expect(rows).toHaveLength(1);
    const { rows: text } = await api.database.owner.query(
      "select from app_private.refresh_tokens t where t::text like '%' || $1 || '%'",
      [refreshToken],
    );
    expect(text).toHaveLength(0);
  });
});

describe("logging out", () => {
  it("refuses the session's tokens at once, even where the database is not asked", async () => {
    const { token } = await api.signUp();
    expect((await api.graphql(LOG_OUT, { token })).errors).toEqual([]);
    for (const query of [
      "{ me { id } }",
      "{ __typename }",
      "{ __schema { queryType { name } } }",
    ]) {
      const { status, errors, data } = await api.graphql(query, { token });
      expect(status).toBe(401);
      expect(errors[0]?.extensions.code).toBe("SESSION_REVOKED");
      expect(data).toBeUndefined();
    }
  });

  it("leaves the other sessions of the user alone", async () => {
    const { email, token } = await api.signUp();
    const { data } = await api.graphql(LOG_IN, {
      variables: { input: { identifier: email, password: PASSWORD } },
    });
    await api.graphql(LOG_OUT, { token });
    const other = await api.graphql("{ me { id } sessions { totalCount } }", {
      token: data.logIn.tokens.accessToken,
    });
    expect(other.data.sessions.totalCount).toBe(1);
  });

  it("takes the device of that session out of service", async () => {
    const { token, userId } = await api.signUp();
    await api.graphql(
      'mutation { registerDevice(input: {token: "logout-phone", deviceType: IOS}) { deviceToken { id } } }',
      { token },
    );
    await api.graphql(LOG_OUT, { token });
    const { rows } = await api.database.owner.query(
      "select disabled_reason from app_public.device_tokens where user_id = $1",
      [userId],
    );
    expect(rows).toEqual([{ disabled_reason: "logged_out" }]);
  });

  it("of nobody is UNAUTHENTICATED", async () => {
    expect((await api.graphql(LOG_OUT)).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });
});

describe("me and updateMe", () => {
  it("me is null for nobody", async () => {
    expect(await api.graphql("{ me { id } }")).toMatchObject({ status: 200, data: { me: null } });
  });

  it("changes what is given, empties what is null, and keeps the rest", async () => {
    const { token } = await api.signUp();
    const update = (patch: object) =>
      api.graphql(
        `mutation ($input: UpdateMeInput!) {
          updateMe(input: $input) { user { firstName lastName picture timezone } }
        }`,
        { token, variables: { input: { patch } } },
      );
    const first = await update({ lastName: "Ng", picture: "https://example.com/a.png" });
    expect(first.data.updateMe.user).toEqual({
      firstName: "Person",
      lastName: "Ng",
      picture: "https://example.com/a.png",
      timezone: "UTC",
    });
    const second = await update({ picture: null, timezone: "Europe/Berlin" });
    expect(second.data.updateMe.user).toEqual({
      firstName: "Person",
      lastName: "Ng",
      picture: null,
      timezone: "Europe/Berlin",
    });
    const third = await update({ firstName: null });
    expect(third.errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "firstName",
    });
    const fourth = await update({ picture: "javascript:alert(1)" });
    expect(fourth.errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "picture",
    });
  });

  it.each(["id", "email", "emailVerified", "phoneVerified", "isDeleted", "deletedAt", "createdAt"])(
    "the input of updateMe has no field %s",
    async (field) => {
      const { token } = await api.signUp();
      const { status, errors } = await api.graphql(
        `mutation { updateMe(input: {patch: {${field}: null}}) { user { id } } }`,
        { token },
      );
      expect(status).toBe(400);
      expect(errors[0]?.message).toContain(`Field "${field}" is not defined`);
    },
  );

  it("a user sees themself alone among the users, an operator all", async () => {
    const user = await api.signUp();
    const other = await api.signUp();
    const operator = await api.signUpOperator();
    const mine = await api.graphql(
      `{ users { nodes { id } totalCount } user(id: ${other.userId}) { id } }`,
      { token: user.token },
    );
    expect(mine.data).toEqual({
      users: { nodes: [{ id: user.userId }], totalCount: 1 },
      user: null,
    });
    const all = await api.graphql(`{ user(id: ${other.userId}) { email } }`, {
      token: operator.token,
    });
    expect(all.data.user.email).toBe(other.email);
  });
});
