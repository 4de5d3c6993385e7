import { createPublicKey, generateKeyPairSync } from "node:crypto";
import jwt from "jsonwebtoken";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type AccessTokenClaims, createAccessTokens } from "../../src/auth/access-tokens.ts";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { openSocket } from "../support/subscriptions.ts";

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
let api: TestApi;
let account: Account;
let kid: string;
let claims: AccessTokenClaims;

beforeAll(async () => {
  api = await startTestApi({
    environment: {
      JWT_PRIVATE_KEY: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    },
  });
  account = await api.signUp();
  const { header, payload } = jwt.decode(account.token, { complete: true }) as jwt.Jwt;
  kid = header.kid as string;
  claims = payload as unknown as AccessTokenClaims;
});
afterAll(() => api.stop());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const now = () => Math.floor(Date.now() / 1000);
const sign = (change: Partial<AccessTokenClaims>) =>
  jwt.sign({ ...claims, ...change }, privateKey, { algorithm: "ES256", keyid: kid });
const status = async (token: string) => (await api.graphql("{ me { id } }", { token })).status;

describe("an access token", () => {
  it("is an ES256 JWT of 15 min that names its session", async () => {
    const { header } = jwt.decode(account.token, { complete: true }) as jwt.Jwt;
    expect(header).toEqual({ alg: "ES256", typ: "JWT", kid });
    expect(claims.exp - claims.iat).toBe(15 * 60);
    expect(Object.keys(claims).sort()).toEqual(
      ["aud", "exp", "iat", "iss", "role", "session_id", "sub", "user_id"].sort(),
    );
    const { data } = await api.graphql("{ sessions { nodes { id isCurrent } } }", {
      token: account.token,
    });
    expect(data.sessions.nodes).toEqual([{ id: claims.session_id, isCurrent: true }]);
  });

  it("skew at most 60 s: shortly after its end it may still do, a minute after it does not", async () => {
    expect(await status(sign({ exp: now() - 61 }))).toBe(401);
    expect(await status(sign({ exp: now() + 1 }))).toBe(200);
  });

  it.each(["iss", "aud", "exp", "sub", "role", "session_id", "user_id"] as const)(
    "without %s is refused",
    async (claim) => {
      const { [claim]: _, ...rest } = claims;
      const token = jwt.sign(rest, privateKey, { algorithm: "ES256", keyid: kid });
      expect(await status(token)).toBe(401);
    },
  );

  it("verified tokens are remembered until they expire", () => {
    const tokens = createAccessTokens({
      keys: { kid, privateKey, publicKeys: new Map([[kid, createPublicKey(privateKey)]]) },
      issuer: claims.iss,
      audience: claims.aud,
      clock: { now: () => Date.now() },
    });
    const verify = vi.spyOn(jwt, "verify");
    vi.useFakeTimers({ now: claims.iat * 1000, toFake: ["Date"] });
    const authorization = `Bearer ${account.token}`;
    for (let i = 0; i < 3; i += 1) {
      expect(tokens.authenticate(authorization).userId).toBe(account.userId);
    }
    expect(verify).toHaveBeenCalledTimes(1);
    expect(verify.mock.calls[0]?.[1]).toMatchObject({ type: "public", asymmetricKeyType: "ec" });
    expect(verify.mock.calls[0]?.[2]).toMatchObject({ algorithms: ["ES256"] });
    vi.setSystemTime((claims.exp - 1) * 1000);
    expect(tokens.authenticate(authorization).userId).toBe(account.userId);
    vi.setSystemTime((claims.exp + 60) * 1000);
    expect(() => tokens.authenticate(authorization)).toThrow("expired");
    expect(() => tokens.authenticate(authorization)).toThrow("expired");
  });

  it("verified tokens are remembered up to a bound: the one used longest ago is verified anew", () => {
    const tokens = createAccessTokens({
      keys: { kid, privateKey, publicKeys: new Map([[kid, createPublicKey(privateKey)]]) },
      issuer: claims.iss,
      audience: claims.aud,
      clock: { now: () => Date.now() },
    });
    tokens.authenticate(`Bearer ${account.token}`);
    for (let i = 1; i <= 10_000; i += 1) {
      tokens.authenticate(`Bearer ${sign({ session_id: i, iat: claims.iat + 1 })}`);
    }
    const verify = vi.spyOn(jwt, "verify");
    tokens.authenticate(`Bearer ${account.token}`);
    expect(verify).toHaveBeenCalledTimes(1);
  });
});

describe("an open WebSocket", () => {
  it("an open subscription ends at the token's expiry", async () => {
    const socket = openSocket(api.url, { authorization: `Bearer ${sign({ exp: now() + 2 })}` });
    const subscription = socket.subscribe(
      "subscription { notificationReceived { notification { id } } }",
    );
    const { next } = socket.subscribe("{ me { id } }");
    expect(await next()).toEqual({ data: { me: { id: account.userId } } });
    const began = Date.now();
    expect(await socket.closed).toMatchObject({
      code: 4403,
      reason: "The access token has expired.",
    });
    expect(Date.now() - began).toBeLessThan(5000);
    await subscription.ended;
  });
});
