import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PASSWORD, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

const SIGN_UP = `mutation ($input: SignUpInput!) { signUp(input: $input) { clientMutationId tokens { accessToken tokenType userId expiresIn } } }`;
const LOG_IN = `mutation ($input: LogInInput!) { logIn(input: $input) { tokens { accessToken userId } } }`;
const LOG_OUT = "mutation { logOut(input: {}) { clientMutationId } }";

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

  it("logIn: the same body and status for a known and an unknown identifier", async () => {
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

  it.each([
    ["", "UNAUTHENTICATED"],
    [" ", "UNAUTHENTICATED"],
    ["@", "UNAUTHENTICATED"],
    ["' or 1=1 --", "UNAUTHENTICATED"],
    ["x".repeat(50_000), "UNAUTHENTICATED"],
    ["\0", "BAD_USER_INPUT"],
  ])("with the identifier %j is %s", async (identifier, code) => {
    for (const password of ["", "x", "p".repeat(20_000)]) {
      const { errors } = await api.graphql(LOG_IN, {
        variables: { input: { identifier, password } },
      });
      expect(errors[0]?.extensions.code).toBe(code);
    }
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
    expect(
      (
        await api.graphql(SIGN_UP, {
          variables: { input: { email, password: PASSWORD, firstName: "Ann" } },
        })
      ).errors,
    ).toEqual([]);
  });

  it("rehash at log-in when parameters change", async () => {
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

describe("logging out", () => {
  it("a request of a revoked session is refused at once on HTTP, even where it asks nothing of the database", async () => {
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

  it("log-out unbinds that session's device token", async () => {
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
