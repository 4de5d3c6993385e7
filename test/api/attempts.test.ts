import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { PASSWORD, startTestApi, type TestApi } from "../support/api.ts";
import { codes, forget, pass } from "../support/attempts.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi({ environment: { RATE_LIMIT_FACTOR: "1" } });
});
afterAll(() => api.stop());

const post = (mutation: string, headers: Record<string, string> = {}) =>
  api.graphql(`mutation { ${mutation} }`, { headers });
const logIn = (identifier: string, password: string, headers: Record<string, string> = {}) =>
  post(
    `logIn(input: {identifier: "${identifier}", password: "${password}"}) { tokens { refreshToken } }`,
    headers,
  );
const signUp = (email: string) =>
  post(
    `signUp(input: {email: "${email}", password: "${PASSWORD}", firstName: "S"}) { tokens { userId } }`,
  );

afterEach(() => forget(api.database));

describe("attempts", () => {
  it("log-in: 10 per 5 min by account and IP address, then a growing delay, which the right password has too", async () => {
    const { email } = await api.signUp();
    const answers = [];
    for (let i = 0; i < 11; i += 1) answers.push(await logIn(email, "wrong password"));
    expect(codes(answers)).toEqual([...Array(10).fill("UNAUTHENTICATED"), "RATE_LIMITED"]);
    expect(answers[10]?.errors[0]?.extensions.retryAfter).toBeGreaterThan(25);
    expect(answers[10]?.errors[0]?.extensions.retryAfter).toBeLessThanOrEqual(30);
    expect(codes([await logIn(email, PASSWORD)])).toEqual(["RATE_LIMITED"]);
    await pass(api.database, "31 seconds");
    expect(codes([await logIn(email, "wrong password")])).toEqual(["UNAUTHENTICATED"]);
    const longer = await logIn(email, "wrong password");
    expect(longer.errors[0]?.extensions.retryAfter).toBeGreaterThan(55);
    await pass(api.database, "61 seconds");
    expect(codes([await logIn(email, PASSWORD)])).toEqual(["ok"]);
    expect(codes([await logIn(email, PASSWORD)])).toEqual(["ok"]);
  });

  it("the count commits although the log-in fails, and is over after a quiet while", async () => {
    const { email } = await api.signUp();
    for (let i = 0; i < 10; i += 1) await logIn(email, "wrong password");
    const { rows } = await api.database.owner.query(
      "select count from app_private.attempts where kind = 'log_in'",
    );
    expect(rows).toEqual([{ count: 10 }]);
    await pass(api.database, "6 minutes");
    expect(
      codes([await logIn(email, "wrong password"), await logIn(email, "wrong password")]),
    ).toEqual(["UNAUTHENTICATED", "UNAUTHENTICATED"]);
  });

  it("are attempts, not requests: 50 logIn aliases in one operation count 50, 100 are refused", async () => {
    const { email } = await api.signUp();
    const aliases = Array.from(
      { length: 100 },
      (_, i) =>
        `a${i}: logIn(input: {identifier: "${email}", password: "wrong ${i}"}) { tokens { userId } }`,
    );
    expect((await post(aliases.join(" "))).errors[0]?.extensions.code).toBe("TOO_COMPLEX");
    const { errors } = await post(aliases.slice(50).join(" "));
    const counts = codes(errors.map((error) => ({ errors: [error] })));
    expect(counts.filter((code) => code === "UNAUTHENTICATED")).toHaveLength(10);
    expect(counts.filter((code) => code === "RATE_LIMITED")).toHaveLength(40);
  });

  it("a rotating X-Forwarded-For changes nothing unless TRUST_PROXY says so", async () => {
    const { email } = await api.signUp();
    const answers = [];
    for (let i = 0; i < 12; i += 1) {
      answers.push(await logIn(email, "wrong password", { "x-forwarded-for": `203.0.113.${i}` }));
    }
    expect(codes(answers).filter((code) => code === "RATE_LIMITED")).toHaveLength(2);
  });

  it("nobody can lock a victim out for good: behind TRUST_PROXY the address that the proxy names counts", async () => {
    const proxied = await startTestApi({
      environment: { RATE_LIMIT_FACTOR: "1", TRUST_PROXY: "1" },
    });
    const { email } = await proxied.signUp();
    const attempt = async (password: string, ip: string) => {
      const answer = await proxied.graphql(
        `mutation { logIn(input: {identifier: "${email}", password: "${password}"}) { tokens { userId } } }`,
        { headers: { "x-forwarded-for": ip } },
      );
      return codes([answer])[0];
    };
    for (let i = 0; i < 11; i += 1) await attempt("wrong password", "203.0.113.1");
    expect(await attempt(PASSWORD, "203.0.113.1")).toBe("RATE_LIMITED");
    expect(await attempt(PASSWORD, "203.0.113.2")).toBe("ok");
    await proxied.stop();
  });

  it("by IP address: 100 log-ins per 5 minutes, whosever account is tried", async () => {
    await logIn("first@example.com", "wrong password");
    await api.database.owner.query(
      "update app_private.attempts set count = 99 where kind = 'log_in_by_ip'",
    );
    const answers = [];
    for (const name of ["second", "third"]) {
      answers.push(await logIn(`${name}@example.com`, "wrong password"));
    }
    expect(codes(answers)).toEqual(["UNAUTHENTICATED", "RATE_LIMITED"]);
    expect(answers[1]?.errors[0]?.extensions.retryAfter).toBeGreaterThan(0);
  });

  it("are counted in PostgreSQL, so on every instance", async () => {
    const other = await startTestApi({
      environment: { RATE_LIMIT_FACTOR: "1" },
      database: api.database,
    });
    const { email } = await api.signUp();
    for (let i = 0; i < 10; i += 1) await logIn(email, "wrong password");
    const elsewhere = await other.graphql(
      `mutation { logIn(input: {identifier: "${email}", password: "${PASSWORD}"}) { tokens { userId } } }`,
    );
    expect(codes([elsewhere])).toEqual(["RATE_LIMITED"]);
    await other.stop();
  });

  it("sign-up: 10 per hour and IP address, over it RATE_LIMITED with retryAfter", async () => {
    const answers = [];
    for (let i = 0; i < 11; i += 1) answers.push(await signUp(`s${i}@example.com`));
    expect(codes(answers)).toEqual([...Array(10).fill("ok"), "RATE_LIMITED"]);
    expect(answers[10]?.errors[0]?.extensions.retryAfter).toBeGreaterThan(350);
    await pass(api.database, "6 minutes");
    expect(codes([await signUp("s11@example.com"), await signUp("s12@example.com")])).toEqual([
      "ok",
      "RATE_LIMITED",
    ]);
  });

  it("sign-up: a password that is refused is no attempt yet", async () => {
    const weak = () =>
      api.graphql(
        'mutation { signUp(input: {firstName: "A", email: "typo@example.com", password: "short"}) { tokens { userId } } }',
      );
    const answers = await Promise.all(Array.from({ length: 12 }, weak));
    expect(new Set(codes(answers))).toEqual(new Set(["BAD_USER_INPUT"]));
    await api.signUp();
  });

  it("log-in: what is wrong whatever the password is says nothing of the password", async () => {
    const { email } = await api.signUp();
    const attempt = (password: string) =>
      api.graphql(
        `mutation { logIn(input: {identifier: "${email}", password: "${password}", deviceInfo: "${"x".repeat(501)}"}) { tokens { userId } } }`,
      );
    const right = await attempt(PASSWORD);
    expect(right.errors[0]?.extensions).toEqual({ code: "BAD_USER_INPUT", field: "deviceInfo" });
    expect((await attempt("wrong password")).errors).toEqual(right.errors);
  });

  it("sign-up with a taken address is CONFLICT, under the sign-up limit", async () => {
    const { email } = await api.signUp();
    await forget(api.database);
    const answers = [];
    for (let i = 0; i < 11; i += 1) answers.push(await signUp(email));
    expect(codes(answers)).toEqual([...Array(10).fill("CONFLICT"), "RATE_LIMITED"]);
  });

  it("refresh: 30 per minute and session, over it RATE_LIMITED with retryAfter", async () => {
    const other = await api.signUp();
    let { refreshToken } = await api.signUp();
    const refresh = (token: string) =>
      post(`refreshTokens(input: {refreshToken: "${token}"}) { tokens { refreshToken } }`);
    const answers = [];
    for (let i = 0; i < 31; i += 1) {
      const answer = await refresh(refreshToken);
      answers.push(answer);
      refreshToken = answer.data.refreshTokens?.tokens.refreshToken ?? refreshToken;
    }
    expect(codes(answers)).toEqual([...Array(30).fill("ok"), "RATE_LIMITED"]);
    expect(answers[30]?.errors[0]?.extensions.retryAfter).toBeGreaterThan(0);
    expect(codes([await refresh(other.refreshToken)])).toEqual(["ok"]);
    await pass(api.database, "7 seconds");
    expect(codes([await refresh(refreshToken)])).toEqual(["ok"]);
  });

  it("refresh: what is repeated within the grace uses up nothing, so fifty at once are all answered", async () => {
    const { refreshToken } = await api.signUp();
    const refresh = (token: string) =>
      post(`refreshTokens(input: {refreshToken: "${token}"}) { tokens { refreshToken } }`);
    const answers = await Promise.all(Array.from({ length: 50 }, () => refresh(refreshToken)));
    expect(codes(answers)).toEqual(Array(50).fill("ok"));
    const successors = new Set(
      answers.map(({ data }) => data.refreshTokens.tokens.refreshToken as string),
    );
    expect(successors.size).toBe(1);
    expect(codes([await refresh([...successors][0] as string)])).toEqual(["ok"]);
    const { rows } = await api.database.owner.query(
      "select count from app_private.attempts where kind = 'refresh'",
    );
    expect(rows).toEqual([{ count: 2 }]);
  });
});
