import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, PASSWORD, startTestApi, type TestApi } from "../support/api.ts";
import { openSocket } from "../support/subscriptions.ts";

let api: TestApi;
/** Two instances share their key. */
const KEY = {
  PUBLIC_URL: "https://api.example.com",
  JWT_PRIVATE_KEY: generateKeyPairSync("ec", { namedCurve: "P-256" })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString(),
};
beforeAll(async () => {
  api = await startTestApi({ environment: KEY });
});
afterAll(() => api.stop());

async function logIn(account: Account, deviceInfo = "Other"): Promise<string> {
  const { data, errors } = await api.graphql(
    "mutation ($input: LogInInput!) { logIn(input: $input) { tokens { accessToken } } }",
    { variables: { input: { identifier: account.email, password: PASSWORD, deviceInfo } } },
  );
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  return data.logIn.tokens.accessToken;
}
const sessions = async (token: string) =>
  (
    await api.graphql(
      "{ sessions(first: 100) { nodes { id deviceInfo isCurrent ipAddress createdAt lastUsedAt } } }",
      {
        token,
      },
    )
  ).data.sessions.nodes as {
    id: number;
    deviceInfo: string | null;
    isCurrent: boolean;
    ipAddress: string;
    createdAt: string;
    lastUsedAt: string;
  }[];
const status = async (token: string) => (await api.graphql("{ me { id } }", { token })).status;

describe("sessions", () => {
  it("lists them (created, last used, device info, IP, current); revoke one", async () => {
    const account = await api.signUp();
    const other = await logIn(account, "Pixel 9");
    const list = await sessions(account.token);
    expect(list).toMatchObject([
      { isCurrent: true, ipAddress: "127.0.0.1" },
      { deviceInfo: "Pixel 9", isCurrent: false },
    ]);
    for (const { createdAt, lastUsedAt } of list) {
      expect(Date.now() - Date.parse(createdAt)).toBeLessThan(60_000);
      expect(lastUsedAt).toBe(createdAt);
    }
    const { data } = await api.graphql(
      `mutation { revokeSession(input: {id: ${list[1]?.id}}) { session { id revokedAt } } }`,
      { token: account.token },
    );
    expect(data.revokeSession.session).toEqual({ id: list[1]?.id, revokedAt: expect.any(String) });
    expect([await status(account.token), await status(other)]).toEqual([200, 401]);
    expect(await sessions(account.token)).toHaveLength(1);
  });

  it("that were not refreshed for 30 days have ended, and are not listed", async () => {
    const account = await api.signUp();
    await logIn(account, "a drawer");
    const idleFor = (days: number) =>
      api.database.owner.query(
        `update app_public.sessions set last_used_at = now() - make_interval(days => $2)
         where user_id = $1 and device_info = 'a drawer'`,
        [account.userId, days],
      );
    await idleFor(29);
    expect(await sessions(account.token)).toHaveLength(2);
    await idleFor(30);
    expect(await sessions(account.token)).toMatchObject([{ isCurrent: true }]);
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

  it("of anybody end where an operator revokes them; the user's log does not say where they sit", async () => {
    const operator = await api.signUpOperator();
    const account = await api.signUp();
    const { rows } = await api.database.owner.query(
      "select id from app_public.sessions where user_id = $1",
      [account.userId],
    );
    const revoke = () =>
      api.graphql(
        `mutation { revokeSession(input: {id: ${rows[0].id}}) { session { revokedReason } } }`,
        { token: operator.token },
      );
    expect((await revoke()).data.revokeSession.session).toEqual({
      revokedReason: "operator_revoked",
    });
    expect((await api.graphql("{ me { id } }", { token: account.token })).status).toBe(401);
    expect((await revoke()).errors[0]?.extensions.code).toBe("NOT_FOUND");
    const { rows: events } = await api.database.owner.query(
      `select ip_address, user_agent from app_private.security_events
       where user_id = $1 and kind = 'session_revoked'`,
      [account.userId],
    );
    expect(events).toEqual([{ ip_address: null, user_agent: null }]);
  });

  it("revoke all others, and all", async () => {
    const account = await api.signUp();
    const others = [await logIn(account), await logIn(account)];
    const everywhere = (keepCurrent: boolean) =>
      api.graphql(
        `mutation { logOutEverywhere(input: {keepCurrent: ${keepCurrent}}) { clientMutationId } }`,
        { token: account.token },
      );
    const ended = (await sessions(account.token)).filter(({ isCurrent }) => !isCurrent);
    await everywhere(true);
    expect(await Promise.all([account.token, ...others].map(status))).toEqual([200, 401, 401]);
    const { data } = await api.graphql(
      "{ me { securityEvents(first: 2) { nodes { kind sessionId } } } }",
      { token: account.token },
    );
    // The one that stays is not in it.
    const logged = data.me.securityEvents.nodes as { kind: string; sessionId: number }[];
    expect(logged.map(({ kind }) => kind)).toEqual(["LOGGED_OUT", "LOGGED_OUT"]);
    expect(new Set(logged.map(({ sessionId }) => sessionId))).toEqual(
      new Set(ended.map(({ id }) => id)),
    );
    await everywhere(false);
    expect(await status(account.token)).toBe(401);
  });

  it("at most 20 live sessions a user, the oldest goes", async () => {
    const account = await api.signUp();
    const tokens = [];
    for (let i = 0; i < 20; i += 1) tokens.push(await logIn(account));
    expect(await status(account.token)).toBe(401);
    expect(await status(tokens[0] as string)).toBe(200);
    expect(await sessions(tokens[19] as string)).toHaveLength(20);
    const { data } = await api.graphql("{ me { securityEvents(first: 2) { nodes { kind } } } }", {
      token: tokens[19],
    });
    expect(data.me.securityEvents.nodes).toContainEqual({ kind: "SESSION_REVOKED" });
  });

  it("at most 20 live sessions a user, also after 30 log-ins at once", async () => {
    const account = await api.signUp();
    const tokens = await Promise.all(Array.from({ length: 30 }, () => logIn(account)));
    const statuses = await Promise.all(tokens.map(status));
    expect(statuses.filter((code) => code === 200)).toHaveLength(20);
  });

  it("one of another instance is refused at once, and its open WebSocket is closed within 5 s", async () => {
    const other = await startTestApi({ database: api.database, environment: KEY });
    const account = await api.signUp();
    const socket = openSocket(other.url, { authorization: `Bearer ${account.token}` });
    expect((await socket.subscribe("{ me { id } }").next()).errors).toBeUndefined();
    const began = Date.now();
    await api.graphql("mutation { logOut(input: {}) { clientMutationId } }", {
      token: account.token,
    });
    expect((await other.graphql("{ me { id } }", { token: account.token })).status).toBe(401);
    expect(await socket.closed).toMatchObject({ code: 4403 });
    expect(Date.now() - began).toBeLessThan(5000);
    await other.stop();
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
