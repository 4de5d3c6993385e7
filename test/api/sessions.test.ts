import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, PASSWORD, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

async function logIn(account: Account, deviceInfo = "Other"): Promise<string> {
  const { data } = await api.graphql(
    "mutation ($input: LogInInput!) { logIn(input: $input) { tokens { accessToken } } }",
    { variables: { input: { identifier: account.email, password: PASSWORD, deviceInfo } } },
  );
  return data.logIn.tokens.accessToken;
}
const sessions = async (token: string) =>
  (
    await api.graphql("{ sessions(first: 100) { nodes { id deviceInfo isCurrent ipAddress } } }", {
      token,
    })
  ).data.sessions.nodes as {
    id: number;
    deviceInfo: string | null;
    isCurrent: boolean;
    ipAddress: string;
  }[];
const status = async (token: string) => (await api.graphql("{ me { id } }", { token })).status;

describe("sessions", () => {
  it("are listed with their device and address, and ended one by one", async () => {
    const account = await api.signUp();
    const other = await logIn(account, "Pixel 9");
    const list = await sessions(account.token);
    expect(list).toMatchObject([
      { isCurrent: true, ipAddress: "127.0.0.1" },
      { deviceInfo: "Pixel 9", isCurrent: false },
    ]);
    const { data } = await api.graphql(
      `mutation { revokeSession(input: {id: ${list[1]?.id}}) { session { id revokedAt } } }`,
      { token: account.token },
    );
    expect(data.revokeSession.session).toEqual({ id: list[1]?.id, revokedAt: expect.any(String) });
    expect([await status(account.token), await status(other)]).toEqual([200, 401]);
    expect(await sessions(account.token)).toHaveLength(1);
  });

  it("of others are as if absent", async () => {
    const [ann, bob] = [await api.signUp(), await api.signUp()];
    const id = (await sessions(ann.token))[0]?.id as number;
    const revoke = (sessionId: number) =>
      api.graphql(`mutation { revokeSession(input: {id: ${sessionId}}) { session { id } } }`, {
        token: bob.token,
      });
    const foreign = await revoke(id);
    expect(foreign).toEqual(await revoke(999999));
    expect(foreign.errors[0]?.extensions.code).toBe("NOT_FOUND");
    expect(await status(ann.token)).toBe(200);
  });

  it("all others end with keepCurrent, and all without", async () => {
    const account = await api.signUp();
    const others = [await logIn(account), await logIn(account)];
    const everywhere = (keepCurrent: boolean) =>
      api.graphql(
        `mutation { logOutEverywhere(input: {keepCurrent: ${keepCurrent}}) { clientMutationId } }`,
        { token: account.token },
      );
    await everywhere(true);
    expect(await Promise.all([account.token, ...others].map(status))).toEqual([200, 401, 401]);
    await everywhere(false);
    expect(await status(account.token)).toBe(401);
  });

  it("are at most 20 for a user: the one used longest ago goes", async () => {
    const account = await api.signUp();
    const tokens = [];
    for (let i = 0; i < 20; i += 1) tokens.push(await logIn(account));
    expect(await status(account.token)).toBe(401);
    expect(await status(tokens[0] as string)).toBe(200);
    expect(await sessions(tokens[19] as string)).toHaveLength(20);
  });
});

describe("the security log", () => {
  const EVENTS = "securityEvents { nodes { kind ipAddress userAgent sessionId } }";

  it("tells a user what happened to their account, newest first, and nobody else", async () => {
    const account = await api.signUp();
    await api.graphql(
      `mutation { logIn(input: {identifier: "${account.email}", password: "wrong password"}) { tokens { userId } } }`,
    );
    await logIn(account);
    const { data } = await api.graphql(`{ me { ${EVENTS} } }`, { token: account.token });
    expect(data.me.securityEvents.nodes.map(({ kind }: { kind: string }) => kind)).toEqual([
      "LOGGED_IN",
      "LOG_IN_FAILED",
      "SIGNED_UP",
    ]);
    expect(data.me.securityEvents.nodes[0]).toMatchObject({
      ipAddress: "127.0.0.1",
      userAgent: "node",
    });
    const stranger = await api.signUp();
    const all = await api.graphql(`{ ${EVENTS} }`, { token: stranger.token });
    expect(all.errors[0]?.extensions.code).toBe("FORBIDDEN");
  });

  it("shows an operator the events of all", async () => {
    const operator = await api.signUpOperator();
    const { data, errors } = await api.graphql(`{ ${EVENTS} }`, { token: operator.token });
    expect(errors).toEqual([]);
    expect(data.securityEvents.nodes.length).toBeGreaterThan(3);
  });

  it("tells of a refresh token that was used again", async () => {
    const { userId, refreshToken } = await api.signUp();
    const refresh = () =>
      api.graphql(
        `mutation { refreshTokens(input: {refreshToken: "${refreshToken}"}) { tokens { userId } } }`,
      );
    await refresh();
    await api.database.owner.query(
      `update app_private.refresh_tokens t set rotated_at = rotated_at - interval '11 seconds'
       from app_public.sessions s where s.id = t.session_id and s.user_id = $1`,
      [userId],
    );
    await refresh();
    const { rows } = await api.database.owner.query(
      "select kind from app_private.security_events where user_id = $1 order by id desc limit 1",
      [userId],
    );
    expect(rows).toEqual([{ kind: "refresh_token_reused" }]);
  });
});

describe("leaving", () => {
  const remove = (token: string, password?: string) =>
    api.graphql(
      `mutation { deleteAccount(input: {${password === undefined ? "" : `password: "${password}"`}}) { clientMutationId } }`,
      { token },
    );

  it("exportMyData gives all that is kept of a user, of nobody else, and no secret", async () => {
    const account = await api.signUp();
    await api.graphql('mutation { createItem(input: {item: {title: "Mine"}}) { item { id } } }', {
      token: account.token,
    });
    await api.graphql(
      'mutation { registerDevice(input: {token: "export-phone", deviceType: WEB}) { deviceToken { id } } }',
      { token: account.token },
    );
    const { data } = await api.graphql("mutation { exportMyData(input: {}) { data } }", {
      token: account.token,
    });
    const exported = data.exportMyData.data;
    expect(exported.user).toMatchObject({ id: account.userId, email: account.email });
    expect(exported.items).toMatchObject([{ title: "Mine" }]);
    expect(exported.device_tokens).toHaveLength(1);
    expect(exported.sessions).toHaveLength(1);
    expect(JSON.stringify(exported)).not.toMatch(/export-phone|argon2|token_hash/);
  });

  it("deleteAccount takes everything in one transaction and frees the address", async () => {
    const account = await api.signUp();
    await api.graphql('mutation { createItem(input: {item: {title: "Mine"}}) { item { id } } }', {
      token: account.token,
    });
    expect((await remove(account.token, PASSWORD)).errors).toEqual([]);
    expect(await status(account.token)).toBe(401);
    const { rows } = await api.database.owner.query(
      `select u.is_deleted, u.email, u.first_name,
         (select count(*)::int from app_public.items where user_id = u.id) as items,
         (select count(*)::int from app_private.user_secrets where user_id = u.id) as secrets
       from app_public.users u where u.id = $1`,
      [account.userId],
    );
    expect(rows).toEqual([
      { is_deleted: true, email: null, first_name: "Deleted", items: 0, secrets: 0 },
    ]);
    expect((await api.signUp(account.email)).userId).not.toBe(account.userId);
  });

  it("of a session that has ended is refused before anything happens", async () => {
    const account = await api.signUp();
    await api.graphql("mutation { logOut(input: {}) { clientMutationId } }", {
      token: account.token,
    });
    const refused = await remove(account.token, PASSWORD);
    expect(refused).toMatchObject({
      status: 401,
      errors: [{ extensions: { code: "SESSION_REVOKED" } }],
    });
    const { rows } = await api.database.owner.query(
      "select is_deleted from app_public.users where id = $1",
      [account.userId],
    );
    expect(rows).toEqual([{ is_deleted: false }]);
  });

  it("needs the password, or a log-in of the last ten minutes", async () => {
    const account = await api.signUp();
    await api.database.owner.query(
      "update app_public.sessions set created_at = now() - interval '11 minutes' where user_id = $1",
      [account.userId],
    );
    expect((await remove(account.token)).errors[0]?.extensions.code).toBe("FORBIDDEN");
    expect((await remove(account.token, "wrong password")).errors[0]?.extensions.code).toBe(
      "BAD_USER_INPUT",
    );
    expect(await status(account.token)).toBe(200);
    expect((await remove(await logIn(account))).errors).toEqual([]);
  });
});
