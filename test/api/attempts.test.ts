import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PASSWORD, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi({ environment: { RATE_LIMIT_FACTOR: "1" } });
});
afterAll(() => api.stop());

const logIn = (identifier: string, password: string, headers: Record<string, string> = {}) =>
  post(
    `mutation { logIn(input: {identifier: "${identifier}", password: "${password}"}) { tokens { refreshToken } } }`,
    headers,
  );

async function post(query: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${api.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ query }),
  });
  return (await response.json()) as {
    // biome-ignore lint/suspicious/noExplicitAny: shaped by the query
    data: any;
    errors?: { extensions: { code: string; retryAfter?: number } }[];
  };
}
const codes = (answers: { errors?: { extensions: { code: string } }[] }[]) =>
  answers.map(({ errors }) => errors?.[0]?.extensions.code ?? "ok");

/** Lets the attempts of everybody be that much longer ago. */
async function pass(interval: string): Promise<void> {
  await api.database.owner.query(
    `update app_private.attempts set last_attempt_at = last_attempt_at - $1::interval,
       blocked_until = blocked_until - $1::interval`,
    [interval],
  );
}
async function forget(): Promise<void> {
  await api.database.owner.query("delete from app_private.attempts");
}

describe("attempts", () => {
  it("to log in are let in ten times, then wait longer each time, and the right password waits too", async () => {
    const { email } = await api.signUp();
    const answers = [];
    for (let i = 0; i < 11; i += 1) answers.push(await logIn(email, "wrong password"));
    expect(codes(answers)).toEqual([...Array(10).fill("UNAUTHENTICATED"), "RATE_LIMITED"]);
    expect(answers[10]?.errors?.[0]?.extensions.retryAfter).toBeGreaterThan(25);
    expect(answers[10]?.errors?.[0]?.extensions.retryAfter).toBeLessThanOrEqual(30);
    expect(codes([await logIn(email, PASSWORD)])).toEqual(["RATE_LIMITED"]);
    await pass("31 seconds");
    expect(codes([await logIn(email, "wrong password")])).toEqual(["UNAUTHENTICATED"]);
    const longer = await logIn(email, "wrong password");
    expect(longer.errors?.[0]?.extensions.retryAfter).toBeGreaterThan(55);
    await pass("61 seconds");
    expect(codes([await logIn(email, PASSWORD)])).toEqual(["ok"]);
    expect(codes([await logIn(email, PASSWORD)])).toEqual(["ok"]);
    await forget();
  });

  it("are counted although they fail, and are over after a quiet while", async () => {
    const { email } = await api.signUp();
    for (let i = 0; i < 10; i += 1) await logIn(email, "wrong password");
    const { rows } = await api.database.owner.query(
      "select count from app_private.attempts where kind = 'log_in'",
    );
    expect(rows).toEqual([{ count: 10 }]);
    await pass("6 minutes");
    expect(
      codes([await logIn(email, "wrong password"), await logIn(email, "wrong password")]),
    ).toEqual(["UNAUTHENTICATED", "UNAUTHENTICATED"]);
    await forget();
  });

  it("are attempts and not requests: 100 aliases in one request count 100 times", async () => {
    const { email } = await api.signUp();
    const aliases = Array.from(
      { length: 100 },
      (_, i) =>
        `a${i}: logIn(input: {identifier: "${email}", password: "wrong ${i}"}) { tokens { userId } }`,
    );
    const { errors } = await post(`mutation { ${aliases.join(" ")} }`);
    const counts = codes((errors ?? []).map((error) => ({ errors: [error] })));
    expect(counts.filter((code) => code === "UNAUTHENTICATED")).toHaveLength(10);
    expect(counts.filter((code) => code === "RATE_LIMITED")).toHaveLength(90);
    await forget();
  });

  it("cannot be had more of with a made-up X-Forwarded-For", async () => {
    const { email } = await api.signUp();
    const answers = [];
    for (let i = 0; i < 12; i += 1) {
      answers.push(await logIn(email, "wrong password", { "x-forwarded-for": `203.0.113.${i}` }));
    }
    expect(codes(answers).filter((code) => code === "RATE_LIMITED")).toHaveLength(2);
    await forget();
  });

  it("behind a trusted proxy are counted by the address that it names, so that nobody locks another out", async () => {
    const proxied = await startTestApi({
      environment: { RATE_LIMIT_FACTOR: "1", TRUST_PROXY: "1" },
    });
    const { email } = await proxied.signUp();
    const attempt = async (password: string, ip: string) => {
      const response = await fetch(`${proxied.url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-forwarded-for": ip },
        body: JSON.stringify({
          query: `mutation { logIn(input: {identifier: "${email}", password: "${password}"}) { tokens { userId } } }`,
        }),
      });
      const { errors } = (await response.json()) as { errors?: { extensions: { code: string } }[] };
      return errors?.[0]?.extensions.code ?? "ok";
    };
    for (let i = 0; i < 11; i += 1) await attempt("wrong password", "203.0.113.1");
    expect(await attempt(PASSWORD, "203.0.113.1")).toBe("RATE_LIMITED");
    expect(await attempt(PASSWORD, "203.0.113.2")).toBe("ok");
    await proxied.stop();
  });

  it("to sign up are let in ten times an hour and address", async () => {
    const answers = [];
    for (let i = 0; i < 11; i += 1) {
      answers.push(
        await post(
          `mutation { signUp(input: {email: "s${i}@example.com", password: "${PASSWORD}", firstName: "S"}) { tokens { userId } } }`,
        ),
      );
    }
    expect(codes(answers)).toEqual([...Array(10).fill("ok"), "RATE_LIMITED"]);
    await forget();
  });

  it("to have a link sent are let in three times an hour for an address, known or not", async () => {
    for (const identifier of [(await api.signUp()).email, "unknown@example.com"]) {
      const answers = [];
      for (let i = 0; i < 4; i += 1) {
        answers.push(
          await post(
            `mutation { requestPasswordReset(input: {identifier: "${identifier}"}) { clientMutationId } }`,
          ),
        );
      }
      expect(codes(answers)).toEqual(["ok", "ok", "ok", "RATE_LIMITED"]);
    }
    await forget();
  });

  it("to refresh are let in thirty times a minute and session", async () => {
    let { refreshToken } = await api.signUp();
    const answers = [];
    for (let i = 0; i < 31; i += 1) {
      const answer = await post(
        `mutation { refreshTokens(input: {refreshToken: "${refreshToken}"}) { tokens { refreshToken } } }`,
      );
      answers.push(answer);
      refreshToken = answer.data.refreshTokens?.tokens.refreshToken ?? refreshToken;
    }
    expect(codes(answers)).toEqual([...Array(30).fill("ok"), "RATE_LIMITED"]);
    await forget();
  });
});
