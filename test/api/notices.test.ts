import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PASSWORD, startTestApi, type TestApi } from "../support/api.ts";
import { mailsTo, secretIn, smsTo } from "../support/mailbox.ts";
import { until } from "../support/until.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

let api: TestApi;
let worker: TestWorker;
const KEY = { CREDENTIALS_KEY: randomBytes(32).toString("base64") };

beforeAll(async () => {
  api = await startTestApi();
  worker = await startTestWorker(api.database);
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
});

const mutate = (mutation: string, token?: string) =>
  api.graphql(`mutation { ${mutation} }`, { token });
const mails = (address: string) => () => mailsTo(worker.dataDirectory, address);
const sms = (number: string) => () => smsTo(worker.dataDirectory, number);

/** Waits for a message with these words; its number among all of them does not matter. */
const arrives = (read: () => Promise<string[]>, words: string) =>
  until(read, (messages) => messages.some((message) => message.includes(words)));

/** An account with a phone number that is in force. */
async function withPhone(phone: string) {
  const account = await api.signUp();
  await api.database.owner.query(
    "update app_public.users set phone = $2, phone_verified = true where id = $1",
    [account.userId, phone],
  );
  return account;
}

describe("a notice is mailed", () => {
  it("after a change of password", async () => {
    const { email, token } = await api.signUp();
    const { errors } = await mutate(
      `changePassword(input: {currentPassword: "${PASSWORD}", newPassword: "a whole new password"}) { user { id } }`,
      token,
    );
    expect(errors).toEqual([]);
    await arrives(mails(email), "Your password was changed");
  });

  it("after a reset", async () => {
    const { email } = await api.signUp();
    await secretIn(mails(email));
    await mutate(`requestPasswordReset(input: {identifier: "${email}"}) { clientMutationId }`);
    const link = await secretIn(mails(email), 2);
    await mutate(
      `resetPassword(input: {token: "${link}", newPassword: "a whole new password"}) { clientMutationId }`,
    );
    await arrives(mails(email), "Your password was reset");
  });

  it("to the old address when the e-mail is about to change, and not to the new one", async () => {
    const { email, token } = await api.signUp();
    await mutate(`updateMe(input: {patch: {email: "new-${email}"}}) { user { id } }`, token);
    await arrives(mails(email), "asked to change your e-mail address");
    await secretIn(mails(`new-${email}`));
    expect((await mails(`new-${email}`)()).join()).not.toContain("asked to change");
  });
});

describe("the old address is told", () => {
  it("of a change of phone: the old number by SMS, and the e-mail address", async () => {
    const { email, token } = await withPhone("+49305550001");
    await mutate('updateMe(input: {patch: {phone: "+49305550002"}}) { user { id } }', token);
    await arrives(mails(email), "asked to change your phone number");
    await arrives(sms("+49305550001"), "asked to change your phone number");
    await secretIn(sms("+49305550002"));
    expect((await sms("+49305550002")()).join()).not.toContain("asked to change");
  });

  it("of a change of e-mail: the phone number where there is no e-mail address yet", async () => {
    const { token, userId } = await withPhone("+49305550003");
    await api.database.owner.query("update app_public.users set email = null where id = $1", [
      userId,
    ]);
    await mutate('updateMe(input: {patch: {email: "first@example.com"}}) { user { id } }', token);
    await arrives(sms("+49305550003"), "asked to change your e-mail address");
    await secretIn(mails("first@example.com"));
  });
});

describe("SIGN_UP_CONFIRMATION=required", () => {
  let strict: TestApi;
  let strictWorker: TestWorker;
  beforeAll(async () => {
    strict = await startTestApi({ environment: { SIGN_UP_CONFIRMATION: "required", ...KEY } });
    strictWorker = await startTestWorker(strict.database, KEY);
  });
  afterAll(async () => {
    await strictWorker.stop();
    await strict.stop();
  });
  const call = (mutation: string) => strict.graphql(`mutation { ${mutation} }`);
  const signUp = (fields: string) =>
    call(
      `signUp(input: {${fields}, password: "${PASSWORD}", firstName: "S"}) { tokens { userId } }`,
    );
  const logIn = (identifier: string, password = PASSWORD) =>
    call(
      `logIn(input: {identifier: "${identifier}", password: "${password}"}) { tokens { userId } }`,
    );
  const strictMails = (address: string) => () => mailsTo(strictWorker.dataDirectory, address);

  it("never tokens, the same answer for a new and a taken address, whose owner gets a mail", async () => {
    const fresh = await signUp('email: "taken@example.com"');
    const taken = await signUp('email: " TAKEN@example.com "');
    expect(fresh).toEqual({ status: 200, data: { signUp: { tokens: null } }, errors: [] });
    expect(taken).toEqual(fresh);
    await arrives(strictMails("taken@example.com"), "You have an account already");
    const { rowCount } = await strict.database.owner.query("select from app_public.users");
    expect(rowCount).toBe(1);
  });

  it("one address at a time: what came to the other would tell whether it is taken", async () => {
    for (const email of ["taken@example.com", "free@example.com"]) {
      const { errors } = await signUp(`email: "${email}", phone: "+49305559977"`);
      expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "phone" });
    }
  });

  it("log-in only once the e-mail is verified by its link", async () => {
    await signUp('email: "wait@example.com"');
    expect((await logIn("wait@example.com")).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    const link = await secretIn(strictMails("wait@example.com"));
    expect((await call(`verifyEmail(input: {token: "${link}"}) { user { id } }`)).errors).toEqual(
      [],
    );
    expect((await logIn("wait@example.com")).errors).toEqual([]);
  });

  it("log-in only once the phone is verified by its code, without being logged in", async () => {
    await signUp('phone: "+49 30 555 0008"');
    const code = await secretIn(() => smsTo(strictWorker.dataDirectory, "+49305550008"));
    const verify = (phone: string, digits: string) =>
      call(
        `verifyPhone(input: {phone: "${phone}", code: "${digits}"}) { clientMutationId user { id } }`,
      );
    const wrong = await verify("+49305550008", code === "000000" ? "000001" : "000000");
    expect(wrong.errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "code" });
    // A number that nobody has gives the same answer.
    expect(await verify("+49305550000", code)).toEqual(wrong);
    expect((await logIn("+49305550008")).errors[0]?.extensions).toEqual({
      code: "UNAUTHENTICATED",
      hint: expect.stringContaining("verifyPhone with the code in the SMS"),
    });
    expect(await verify("+49 (30) 555-0008", code)).toEqual({
      status: 200,
      data: { verifyPhone: { clientMutationId: null, user: null } },
      errors: [],
    });
    expect((await logIn("+49305550008")).errors).toEqual([]);
  });

  it("log-in only once the phone is verified, or by a reset that is sent there", async () => {
    await signUp('phone: "+49305550009"');
    expect((await logIn("+49305550009")).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    await call('requestPasswordReset(input: {identifier: "+49305550009"}) { clientMutationId }');
    const read = () => smsTo(strictWorker.dataDirectory, "+49305550009");
    const messages = await until(read, (found) => found.some((body) => body.includes("token=")));
    const link = /token=([\w-]{43})/.exec(messages.join(" "))?.[1];
    await call(
      `resetPassword(input: {token: "${link}", newPassword: "a whole new password"}) { clientMutationId }`,
    );
    expect((await logIn("+49305550009", "a whole new password")).errors).toEqual([]);
  });
});
