import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Account, PASSWORD, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let account: Account;

beforeAll(async () => {
  api = await startTestApi({ environment: { RATE_LIMIT_FACTOR: "1" } });
});
afterAll(() => api.stop());
beforeEach(async () => {
  await api.database.owner.query("delete from app_private.attempts");
  account = await api.signUp();
  await api.database.owner.query("delete from app_private.attempts");
});

async function codes(mutations: string[], token?: string) {
  const answers = [];
  for (const mutation of mutations) {
    const { errors } = await api.graphql(`mutation { ${mutation} }`, { token });
    answers.push(errors[0]?.extensions);
  }
  return answers.map((extensions) => extensions?.code ?? "ok");
}
const VERIFY_EMAIL = "requestEmailVerification(input: {}) { clientMutationId }";
const VERIFY_PHONE = "requestPhoneVerification(input: {}) { clientMutationId }";
const reset = (identifier: string) =>
  `requestPasswordReset(input: {identifier: "${identifier}"}) { clientMutationId }`;
const setPhone = (phone: string) => `updateMe(input: {patch: {phone: "${phone}"}}) { user { id } }`;

describe("reset and codes", () => {
  it("are let in 3 times per hour and target", async () => {
    expect(await codes(Array(4).fill(VERIFY_EMAIL), account.token)).toEqual([
      "ok",
      "ok",
      "ok",
      "RATE_LIMITED",
    ]);
  });

  it("are let in 10 times per hour and IP, whatever the target", async () => {
    const targets = Array.from({ length: 8 }, (_, i) => reset(`somebody${i}@example.com`));
    expect(new Set(await codes(targets))).toEqual(new Set(["ok"]));
    expect(await codes([VERIFY_EMAIL, VERIFY_EMAIL, VERIFY_EMAIL], account.token)).toEqual([
      "ok",
      "ok",
      "RATE_LIMITED",
    ]);
    expect(await codes([reset("one.more@example.com")])).toEqual(["RATE_LIMITED"]);
  });

  it("a code is resent after 60 s at the earliest", async () => {
    expect(await codes([setPhone("+49301110001")], account.token)).toEqual(["ok"]);
    const { errors } = await api.graphql(`mutation { ${VERIFY_PHONE} }`, { token: account.token });
    expect(errors[0]?.extensions).toMatchObject({ code: "RATE_LIMITED" });
    const retryAfter = errors[0]?.extensions.retryAfter;
    expect(retryAfter).toBeGreaterThan(55);
    expect(retryAfter).toBeLessThanOrEqual(60);
    await api.database.owner.query(
      "update app_private.user_tokens set created_at = created_at - interval '60 seconds'",
    );
    expect(await codes([VERIFY_PHONE], account.token)).toEqual(["ok"]);
  });

  it("a code for another number is no way around that", async () => {
    const numbers = [setPhone("+49301110002"), setPhone("+49301110003")];
    expect(await codes(numbers, account.token)).toEqual(["ok", "RATE_LIMITED"]);
  });
});

it("a taken address is a CONFLICT under the sign-up limit", async () => {
  const signUp = `signUp(input: {email: "${account.email}", password: "${PASSWORD}", firstName: "S"}) { tokens { userId } }`;
  expect(await codes(Array(11).fill(signUp))).toEqual([
    ...Array(10).fill("CONFLICT"),
    "RATE_LIMITED",
  ]);
});
