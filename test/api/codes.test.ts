import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { codeKey, hashCode } from "../../src/auth/proofs.ts";
import { type Account, PASSWORD, startTestApi, type TestApi } from "../support/api.ts";
import { codes, pass } from "../support/attempts.ts";
import { secretIn, smsTo } from "../support/mailbox.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

let api: TestApi;
let worker: TestWorker;
const CREDENTIALS_KEY = randomBytes(32).toString("base64");

beforeAll(async () => {
  api = await startTestApi({ environment: { CREDENTIALS_KEY, TRUST_PROXY: "1" } });
  worker = await startTestWorker(api.database, { CREDENTIALS_KEY });
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
});

const sms = (number: string) => () => smsTo(worker.dataDirectory, number);
let number = 0;
const phone = () => {
  number += 1;
  return `+49301234${String(number).padStart(4, "0")}`;
};
const mutate = (mutation: string, token?: string) =>
  api.graphql(`mutation { ${mutation} }`, { token });
const verify = (code: string, { token }: Pick<Account, "token">) =>
  mutate(`verifyPhone(input: {code: "${code}"}) { user { phone phoneVerified } }`, token);
const otherThan = (code: string) => (code === "000000" ? "000001" : "000000");
const phoneOf = async ({ token }: Account) =>
  (await api.graphql("{ me { phone phoneVerified } }", { token })).data.me;

/** Somebody who has asked for a code, and the code. */
async function asked(to = phone()): Promise<{ account: Account; to: string; code: string }> {
  const account = await api.signUp();
  await mutate(`updateMe(input: {patch: {phone: "${to}"}}) { user { id } }`, account.token);
  return { account, to, code: await secretIn(sms(to)) };
}

describe("codes", () => {
  it("6 digits; a new phone is pending until proven, and a code works once", async () => {
    const { account, to, code } = await asked();
    expect(code).toMatch(/^\d{6}$/);
    expect(await phoneOf(account)).toEqual({ phone: null, phoneVerified: false });
    expect((await verify(code, account)).data.verifyPhone.user).toEqual({
      phone: to,
      phoneVerified: true,
    });
    expect((await verify(code, account)).errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "code",
    });
  });

  it("HMAC at rest, with a key that the database does not have", async () => {
    const { account, code } = await asked();
    const { rows } = await api.database.owner.query(
      "select token_hash from app_private.user_tokens where user_id = $1 and purpose = 'phone_verification'",
      [account.userId],
    );
    expect(rows).toEqual([
      { token_hash: hashCode(code, account.userId, codeKey(CREDENTIALS_KEY)) },
    ]);
    for (const text of [code, `${account.userId}:${code}`]) {
      expect(rows[0].token_hash).not.toEqual(createHash("sha256").update(text).digest());
    }
    const { rows: jobs } = await api.database.owner.query(
      String.raw`select from graphile_worker._private_jobs where payload::text ~ ('\m' || $1 || '\M')`,
      [code],
    );
    expect(jobs).toEqual([]);
  });

  it("10 min: shortly before it works, then no more", async () => {
    const late = await asked();
    await pass(api.database, "10 minutes");
    expect(codes([await verify(late.code, late.account)])).toEqual(["BAD_USER_INPUT"]);
    const early = await asked();
    await pass(api.database, "9 minutes 50 seconds");
    expect(codes([await verify(early.code, early.account)])).toEqual(["ok"]);
  });

  it("5 tries: the fifth may be right, a sixth is not looked at", async () => {
    const lucky = await asked();
    for (let i = 0; i < 4; i += 1) await verify(otherThan(lucky.code), lucky.account);
    expect(codes([await verify(lucky.code, lucky.account)])).toEqual(["ok"]);
    const unlucky = await asked();
    for (let i = 0; i < 5; i += 1) await verify(otherThan(unlucky.code), unlucky.account);
    expect(codes([await verify(unlucky.code, unlucky.account)])).toEqual(["BAD_USER_INPUT"]);
    expect(await phoneOf(unlucky.account)).toEqual({ phone: null, phoneVerified: false });
  });

  it("5 tries, also where 50 are made at once", async () => {
    const { account, code } = await asked();
    const wrong = otherThan(code);
    await Promise.all(Array.from({ length: 50 }, () => verify(wrong, account)));
    const { rows } = await api.database.owner.query(
      "select attempts from app_private.user_tokens where user_id = $1 and purpose = 'phone_verification'",
      [account.userId],
    );
    expect(rows).toEqual([{ attempts: 5 }]);
    expect(codes([await verify(code, account)])).toEqual(["BAD_USER_INPUT"]);
  });

  it("bound to the user: another one, and nobody, cannot use it", async () => {
    const { account, to, code } = await asked();
    const stranger = await api.signUp();
    expect(codes([await verify(code, stranger)])).toEqual(["BAD_USER_INPUT"]);
    const nobody = await mutate(`verifyPhone(input: {code: "${code}"}) { user { id } }`);
    expect(codes([nobody])).toEqual(["UNAUTHENTICATED"]);
    // One who waits for a code to the same number has another one.
    const rival = await api.signUp();
    await mutate(`updateMe(input: {patch: {phone: "${to}"}}) { user { id } }`, rival.token);
    const theirs = await secretIn(sms(to), 2);
    if (theirs !== code) expect(codes([await verify(code, rival)])).toEqual(["BAD_USER_INPUT"]);
    expect(codes([await verify(code, account)])).toEqual(["ok"]);
    expect(codes([await verify(theirs, rival)])).toEqual(["CONFLICT"]);
    expect(await phoneOf(rival)).toEqual({ phone: null, phoneVerified: false });
  });

  it("5 tries are the user's own: a stranger elsewhere has as many, and takes none of them", async () => {
    const to = phone();
    await mutate(
      `signUp(input: {firstName: "A", phone: "${to}", password: "${PASSWORD}"}) { tokens { userId } }`,
    );
    const code = await secretIn(sms(to));
    const from = (ip: string, tried: string) =>
      api.graphql(
        `mutation { verifyPhone(input: {phone: "${to}", code: "${tried}"}) { clientMutationId } }`,
        { headers: { "x-forwarded-for": ip } },
      );
    const guesses = Array.from({ length: 5 }, () => from("203.0.113.1", otherThan(code)));
    expect(new Set(codes(await Promise.all(guesses)))).toEqual(new Set(["BAD_USER_INPUT"]));
    // Neither there nor from anywhere else, even with the right one.
    expect(codes([await from("203.0.113.1", code)])).toEqual(["BAD_USER_INPUT"]);
    expect(codes([await from("203.0.113.2", code)])).toEqual(["BAD_USER_INPUT"]);
    const here = await mutate(
      `verifyPhone(input: {phone: "${to}", code: "${code}"}) { clientMutationId }`,
    );
    expect(codes([here])).toEqual(["ok"]);
  });

  it("the security log says from where a number was verified, and in which session", async () => {
    const { account, code } = await asked();
    await verify(code, account);
    const { data } = await api.graphql(
      "{ me { securityEvents(first: 1) { nodes { kind ipAddress userAgent sessionId } } } sessions { nodes { id } } }",
      { token: account.token },
    );
    expect(data.me.securityEvents.nodes).toEqual([
      {
        kind: "PHONE_VERIFIED",
        ipAddress: "127.0.0.1",
        userAgent: "node",
        sessionId: data.sessions.nodes[0].id,
      },
    ]);
  });

  it("an older one is void once the next is sent", async () => {
    const { account, to, code } = await asked();
    await pass(api.database, "61 seconds");
    await mutate("requestPhoneVerification(input: {}) { clientMutationId }", account.token);
    const next = await secretIn(sms(to), 2);
    if (next !== code) expect(codes([await verify(code, account)])).toEqual(["BAD_USER_INPUT"]);
    expect(codes([await verify(next, account)])).toEqual(["ok"]);
  });

  it.each([
    ["empty text", ""],
    ["5 digits", "12345"],
    ["7 digits", "1234567"],
    ["full-width digits", "１２３４５６"],
    ["a letter that looks like a digit", "12345O"],
    ["NUL", "\\u0000"],
    ["9,000 digits", "9".repeat(9000)],
  ])("%s for a code is BAD_USER_INPUT", async (_what, code) => {
    const { account } = await asked();
    expect((await verify(code, account)).errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "code",
    });
    expect(await phoneOf(account)).toEqual({ phone: null, phoneVerified: false });
  });
});
