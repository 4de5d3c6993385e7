import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";
import { codes, forget, pass } from "../support/attempts.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi({ environment: { RATE_LIMIT_FACTOR: "1" } });
});
afterAll(() => api.stop());
afterEach(() => forget(api.database));

const mutate = (mutation: string, token?: string) =>
  api.graphql(`mutation { ${mutation} }`, { token });
const requestReset = (identifier: string) =>
  mutate(`requestPasswordReset(input: {identifier: "${identifier}"}) { clientMutationId }`);
const requestLink = (token: string) =>
  mutate("requestEmailVerification(input: {}) { clientMutationId }", token);
const requestCode = (token: string) =>
  mutate("requestPhoneVerification(input: {}) { clientMutationId }", token);
const updateMe = (patch: string, token: string) =>
  mutate(`updateMe(input: {patch: {${patch}}}) { user { id } }`, token);

let number = 0;
const phone = () => {
  number += 1;
  return `+49305550${String(number).padStart(3, "0")}`;
};

const THREE = ["ok", "ok", "ok", "RATE_LIMITED"];
/** Four times one after the other; the last has about six minutes to wait. */
async function fourTimes(ask: () => ReturnType<typeof mutate>): Promise<string[]> {
  const answers = [await ask(), await ask(), await ask(), await ask()];
  expect(answers[3]?.errors[0]?.extensions.retryAfter).toBeGreaterThan(340);
  return codes(answers);
}

describe("reset and codes: 3 per hour and target", () => {
  it("requestPasswordReset, for a known and an unknown address alike", async () => {
    const { email } = await api.signUp();
    expect(await fourTimes(() => requestReset(email))).toEqual(THREE);
    expect(await fourTimes(() => requestReset("unknown@example.com"))).toEqual(THREE);
  });

  it("requestPasswordReset, however the address is written", async () => {
    const ways = ["ren\u00e9e@example.com", " Rene\u0301e@Example.com ", "REN\u00c9E@EXAMPLE.COM"];
    expect(codes(await Promise.all(ways.map(requestReset)))).toEqual(["ok", "ok", "ok"]);
    expect(codes([await requestReset(ways[0] as string)])).toEqual(["RATE_LIMITED"]);
    const numbers = ["+49 30 5559999", "+49 (30) 555-9999", "+49.30.5559999", "+49305559999"];
    const answers = [];
    for (const way of numbers) answers.push(await requestReset(way));
    expect(codes(answers)).toEqual(THREE);
  });

  it("requestEmailVerification", async () => {
    const { token } = await api.signUp();
    expect(await fourTimes(() => requestLink(token))).toEqual(THREE);
    await pass(api.database, "6 minutes");
    expect(codes([await requestLink(token)])).toEqual(["ok"]);
  });

  it("requestPhoneVerification and the phone in updateMe together", async () => {
    const { token } = await api.signUp();
    const to = phone();
    const answers = [await updateMe(`phone: "${to}"`, token)];
    for (let i = 0; i < 3; i += 1) {
      await pass(api.database, "61 seconds");
      answers.push(await requestCode(token));
    }
    expect(codes(answers)).toEqual(THREE);
  });

  it("a stranger who asks for resets leaves the owner the links that verify the address", async () => {
    const { email, token } = await api.signUp();
    expect(await fourTimes(() => requestReset(email))).toEqual(THREE);
    expect(codes([await requestLink(token)])).toEqual(["ok"]);
  });

  it("one target for several users", async () => {
    const to = phone();
    const answers = [];
    for (let i = 0; i < 4; i += 1) {
      answers.push(await updateMe(`phone: "${to}"`, (await api.signUp()).token));
    }
    expect(codes(answers)).toEqual(THREE);
  });
});

describe("reset and codes: 10 per hour and IP", () => {
  it.each([
    ["requestPasswordReset", async () => requestReset(`${Math.random()}@example.com`)],
    ["requestEmailVerification", async () => requestLink((await api.signUp()).token)],
    [
      "requestPhoneVerification",
      async () => {
        const { token, userId } = await api.signUp();
        await api.database.owner.query("update app_public.users set phone = $2 where id = $1", [
          userId,
          phone(),
        ]);
        return requestCode(token);
      },
    ],
    [
      "the e-mail in updateMe",
      async () => updateMe(`email: "${Math.random()}@example.com"`, (await api.signUp()).token),
    ],
    [
      "the phone in updateMe",
      async () => updateMe(`phone: "${phone()}"`, (await api.signUp()).token),
    ],
  ])("%s, over it RATE_LIMITED with retryAfter", async (_what, ask) => {
    for (let i = 0; i < 10; i += 1) {
      expect((await ask()).errors).toEqual([]);
      // Signing up has its own limit, which is not what this is about.
      await api.database.owner.query(
        "delete from app_private.attempts where kind = 'sign_up_by_ip'",
      );
    }
    const { errors } = await ask();
    expect(errors[0]?.extensions.code).toBe("RATE_LIMITED");
    expect(errors[0]?.extensions.retryAfter).toBeGreaterThan(300);
  });

  it("what an IP address that is over it asks for is not counted for the target", async () => {
    const { email } = await api.signUp();
    for (let i = 0; i < 10; i += 1) await requestReset(`${Math.random()}@example.com`);
    for (let i = 0; i < 5; i += 1) await requestReset(email);
    await api.database.owner.query("delete from app_private.attempts where kind = 'proof_by_ip'");
    expect(await fourTimes(() => requestReset(email))).toEqual(THREE);
  });
});

describe("codes: tries of who is not logged in", () => {
  it("5 per 10 minutes, number and IP address, known or not", async () => {
    for (const to of [phone(), phone()]) {
      const answers = [];
      for (let i = 0; i < 6; i += 1) {
        answers.push(
          await mutate(`verifyPhone(input: {phone: "${to}", code: "00000${i}"}) { user { id } }`),
        );
      }
      expect(codes(answers)).toEqual([...Array(5).fill("BAD_USER_INPUT"), "RATE_LIMITED"]);
      expect(answers[5]?.errors[0]?.extensions.retryAfter).toBeGreaterThan(50);
    }
  });
});

describe("codes: resend after 60 s", () => {
  it("requestPhoneVerification earlier is RATE_LIMITED with retryAfter, and keeps the code before", async () => {
    const { token, userId } = await api.signUp();
    await updateMe(`phone: "${phone()}"`, token);
    const stored = async () =>
      (
        await api.database.owner.query(
          "select token_hash from app_private.user_tokens where user_id = $1 and purpose = 'phone_verification'",
          [userId],
        )
      ).rows;
    const before = await stored();
    const { errors } = await requestCode(token);
    expect(errors[0]?.extensions.code).toBe("RATE_LIMITED");
    expect(errors[0]?.extensions.retryAfter).toBeGreaterThan(50);
    expect(errors[0]?.extensions.retryAfter).toBeLessThanOrEqual(60);
    expect(await stored()).toEqual(before);
    await pass(api.database, "50 seconds");
    expect(codes([await requestCode(token)])).toEqual(["RATE_LIMITED"]);
    await pass(api.database, "10 seconds");
    expect(codes([await requestCode(token)])).toEqual(["ok"]);
    expect(await stored()).not.toEqual(before);
  });

  it("not by way of another number either", async () => {
    const { token } = await api.signUp();
    const [one, other] = [phone(), phone()];
    const answers = [
      await updateMe(`phone: "${one}"`, token),
      await updateMe(`phone: "${other}"`, token),
      await updateMe(`phone: "${one}"`, token),
    ];
    expect(codes(answers)).toEqual(["ok", "RATE_LIMITED", "RATE_LIMITED"]);
  });

  it("of ten requests at once one is let in", async () => {
    const { token } = await api.signUp();
    await updateMe(`phone: "${phone()}"`, token);
    await pass(api.database, "61 seconds");
    const answers = await Promise.all(Array.from({ length: 10 }, () => requestCode(token)));
    expect(codes(answers).filter((code) => code === "ok")).toHaveLength(1);
  });
});
