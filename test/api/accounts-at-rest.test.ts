import jwt from "jsonwebtoken";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createAccessTokens } from "../../src/auth/access-tokens.ts";
import { loadJwtKeys } from "../../src/auth/keys.ts";
import { hashNewPassword } from "../../src/auth/passwords.ts";
import { loadConfig } from "../../src/config.ts";
import { startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

const signUp = (input: Record<string, unknown>) =>
  api.graphql(
    "mutation ($input: SignUpInput!) { signUp(input: $input) { tokens { accessToken userId } } }",
    { variables: { input: { firstName: "P", password: "correct horse battery", ...input } } },
  );
const logIn = (identifier: string, password: string) =>
  api.graphql("mutation ($input: LogInInput!) { logIn(input: $input) { tokens { userId } } }", {
    variables: { input: { identifier, password } },
  });

describe("passwords", () => {
  it("are Argon2id m=19456 KiB, t=2, p=1 at rest", async () => {
    const { userId } = await api.signUp();
    const { rows } = await api.database.owner.query(
      "select password_hash from app_private.user_secrets where user_id = $1",
      [userId],
    );
    expect(rows[0].password_hash).toMatch(
      /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/,
    );
  });

  it("are hashed off the event loop: other work goes on meanwhile", async () => {
    let turns = 0;
    let isHashing = true;
    const count = () => {
      turns += 1;
      if (isHashing) setImmediate(count);
    };
    setImmediate(count);
    // Many more than there are threads: one alone may be done before a busy machine lets the event loop turn.
    await Promise.all(Array.from({ length: 16 }, () => hashNewPassword("correct horse battery")));
    isHashing = false;
    expect(turns).toBeGreaterThan(3);
  });

  it("have no composition rules", async () => {
    for (const password of ["saddle parasol", "zzyzxzyzzx", "        a", "ÄÖÜäöüßé"]) {
      const { errors } = await signUp({
        email: `composed-${Math.random()}@example.com`,
        password,
      });
      expect(errors).toEqual([]);
    }
  });

  it("are not truncated: the last of 256 characters counts", async () => {
    const password = "x".repeat(255);
    const email = "long@example.com";
    await signUp({ email, password: `${password}a` });
    expect((await logIn(email, `${password}b`)).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect((await logIn(email, password)).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect((await logIn(email, `${password}a`)).errors).toEqual([]);
  });
});

describe("addresses", () => {
  it("dots and plus parts are kept: they are other addresses", async () => {
    for (const email of ["a.b@example.com", "ab@example.com", "ab+shop@example.com"]) {
      expect((await signUp({ email })).errors).toEqual([]);
    }
  });

  it("lookalike characters make another address, and never log in to the first", async () => {
    await signUp({ email: "paypal@example.com" });
    // A Cyrillic а, a full-width commercial at, a zero-width space.
    const lookalikes = ["pаypal@example.com", "paypal＠example.com", "pay\u200bpal@example.com"];
    for (const identifier of lookalikes) {
      const { errors } = await logIn(identifier, "correct horse battery");
      expect(errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    }
  });

  it("emailVerified and phoneVerified are absent from every input type", async () => {
    const { data } = await api.graphql("{ __schema { types { kind name inputFields { name } } } }");
    const inputs = data.__schema.types.filter(
      ({ kind }: { kind: string }) => kind === "INPUT_OBJECT",
    );
    expect(inputs.length).toBeGreaterThan(20);
    const settable = inputs.filter(({ inputFields }: { inputFields: { name: string }[] }) =>
      inputFields.some(({ name }) => /^(email|phone)Verified$/.test(name)),
    );
    expect(settable.map(({ name }: { name: string }) => name)).toEqual([]);
  });
});

describe("attempts", () => {
  it("are counted in PostgreSQL, for every instance together", async () => {
    const strict = await startTestApi({ environment: { RATE_LIMIT_FACTOR: "1" } });
    const second = await startTestApi({
      environment: { RATE_LIMIT_FACTOR: "1" },
      database: strict.database,
    });
    const attempt = (instance: TestApi) =>
      instance.graphql(
        'mutation { logIn(input: {identifier: "x@example.com", password: "wrong password"}) { tokens { userId } } }',
      );
    const codes = [];
    for (let i = 0; i < 11; i += 1) {
      const { errors } = await attempt(i % 2 === 0 ? strict : second);
      codes.push(errors[0]?.extensions.code);
    }
    expect(codes).toEqual([...Array(10).fill("UNAUTHENTICATED"), "RATE_LIMITED"]);
    await second.stop();
    await strict.stop();
  });
});

describe("access tokens", () => {
  it("once verified are remembered until they expire", async () => {
    const verify = vi.spyOn(jwt, "verify");
    try {
      const { token } = await api.signUp();
      const me = () => api.graphql("{ me { id } }", { token });
      await me();
      const calls = verify.mock.calls.length;
      expect(calls).toBeGreaterThan(0);
      expect(verify.mock.calls.at(-1)?.[1]).toMatchObject({ type: "public" });
      await me();
      expect(verify.mock.calls.length).toBe(calls);
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 906_000 });
      expect((await me()).status).toBe(401);
    } finally {
      vi.useRealTimers();
      verify.mockRestore();
    }
  });

  it("are remembered in bounded number", async () => {
    const keys = await loadJwtKeys(loadConfig("api", { DATA_DIR: api.dataDirectory }));
    const tokens = createAccessTokens({ keys, issuer: "i", audience: "a", clock: Date });
    const now = Math.floor(Date.now() / 1000);
    const claims = (id: number) => ({
      iss: "i",
      aud: "a",
      iat: now,
      exp: now + 900,
      sub: String(id),
      role: "howdah_user" as const,
      session_id: id,
      user_id: id,
    });
    const first = tokens.sign(claims(1));
    const verify = vi.spyOn(jwt, "verify");
    try {
      tokens.authenticate(`Bearer ${first}`);
      for (let id = 2; id <= 10_001; id += 1) {
        tokens.authenticate(`Bearer ${tokens.sign(claims(id))}`);
      }
      const calls = verify.mock.calls.length;
      tokens.authenticate(`Bearer ${first}`);
      expect(verify.mock.calls.length).toBe(calls + 1);
    } finally {
      verify.mockRestore();
    }
  }, 30_000);
});
