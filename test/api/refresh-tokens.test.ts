import { createHash } from "node:crypto";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";
import { until } from "../support/until.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

const LOG_OUT = "mutation { logOut(input: {}) { clientMutationId } }";

const REFRESH = `mutation ($input: RefreshTokensInput!) {
  refreshTokens(input: $input) { tokens { accessToken refreshToken userId } } }`;

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

describe("refreshing", () => {
  it("rotates at each use: new tokens, and each of them works", async () => {
    const { refreshToken, userId } = await api.signUp();
    const first = await refresh(refreshToken);
    const tokens = first.data.refreshTokens.tokens;
    expect(tokens.userId).toBe(userId);
    expect(tokens.refreshToken).not.toBe(refreshToken);
    const second = await refresh(tokens.refreshToken);
    expect(second.errors).toEqual([]);
  });

  it("the current token's direct parent, within 10 s, gets the same current token again", async () => {
    const { refreshToken } = await api.signUp();
    const first = await refresh(refreshToken);
    const again = await refresh(refreshToken);
    expect(again.data.refreshTokens.tokens.refreshToken).toBe(
      first.data.refreshTokens.tokens.refreshToken,
    );
  });

  it("fifty concurrent refreshes end with one live lineage and nobody logged out", async () => {
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

  it("the parent after 10 s is reuse: the whole session is revoked, that commits although the call errs, and it is logged", async () => {
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
    const { rows: events } = await api.database.owner.query(
      "select kind from app_private.security_events where user_id = $1 order by id desc limit 1",
      [userId],
    );
    expect(events).toEqual([{ kind: "refresh_token_reused" }]);
    const live = await refresh(data.refreshTokens.tokens.refreshToken);
    expect(live.errors[0]?.extensions.code).toBe("SESSION_REVOKED");
    expect((await api.graphql("{ me { id } }", { token })).status).toBe(401);
  });

  it("grace never covers older generations: the grandparent within 10 s is reuse", async () => {
    const { refreshToken } = await api.signUp();
    const { data } = await refresh(refreshToken);
    await refresh(data.refreshTokens.tokens.refreshToken);
    const reused = await refresh(refreshToken);
    expect(reused.errors[0]?.extensions.code).toBe("SESSION_REVOKED");
  });

  it("two concurrent refreshes, again and again, end with one live lineage and nobody logged out", async () => {
    let { refreshToken } = await api.signUp();
    for (let i = 0; i < 10; i += 1) {
      const answers = await Promise.all([refresh(refreshToken), refresh(refreshToken)]);
      const next = answers.map(({ data }) => data.refreshTokens.tokens.refreshToken);
      expect(next[0]).toBe(next[1]);
      refreshToken = next[0];
    }
  });

  it("a response lost between rotation and client is recoverable within the grace", async () => {
    const { refreshToken, userId } = await api.signUp();
    const body = JSON.stringify({ query: REFRESH, variables: { input: { refreshToken } } });
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    socket.write(
      `POST /graphql HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    // Nobody reads the answer: the connection goes once the database has rotated.
    socket.pause();
    await until(
      () =>
        api.database.owner.query(
          `select from app_private.refresh_tokens t join app_public.sessions s on s.id = t.session_id
           where s.user_id = $1 and t.rotated_at is not null`,
          [userId],
        ),
      ({ rowCount }) => rowCount === 1,
    );
    socket.destroy();
    const recovered = await refresh(refreshToken);
    expect(recovered.errors).toEqual([]);
    expect((await refresh(recovered.data.refreshTokens.tokens.refreshToken)).errors).toEqual([]);
  });

  it("grace never slides", async () => {
    const { refreshToken, userId } = await api.signUp();
    await refresh(refreshToken);
    await passSeconds(userId, 9);
    expect((await refresh(refreshToken)).errors).toEqual([]);
    await passSeconds(userId, 2);
    expect((await refresh(refreshToken)).errors[0]?.extensions.code).toBe("SESSION_REVOKED");
  });

  it("grace never revives a revoked session", async () => {
    const { refreshToken } = await api.signUp();
    const { data } = await refresh(refreshToken);
    await api.graphql(LOG_OUT, { token: data.refreshTokens.tokens.accessToken });
    expect((await refresh(refreshToken)).errors[0]?.extensions.code).toBe("SESSION_REVOKED");
  });

  it("refresh tokens: idle 30 days, absolute 90 days", async () => {
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

  it.each([
    ["an empty one", ""],
    ["one with NUL", "\0"],
    ["an unknown one", "A".repeat(43)],
    ["one of lookalikes", "а".repeat(43)],
    ["an over-long one", "A".repeat(50_000)],
  ])("with %s is UNAUTHENTICATED", async (_what, token) => {
    expect((await refresh(token)).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });

  it("refresh tokens are opaque, at least 128 random bits, and stored hashed", async () => {
    const { refreshToken } = await api.signUp();
    expect(refreshToken).toMatch(/^[\w-]+$/);
    expect(Buffer.from(refreshToken, "base64url").length * 8).toBeGreaterThanOrEqual(128);
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
