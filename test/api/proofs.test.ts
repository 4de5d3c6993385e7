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
  api = await startTestApi({ environment: KEY });
  worker = await startTestWorker(api.database, { ...KEY, PUBLIC_URL: "https://app.example.com" });
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
});

const mails = (address: string) => () => mailsTo(worker.dataDirectory, address);
const sms = (number: string) => () => smsTo(worker.dataDirectory, number);
let number = 0;
const phone = () => {
  number += 1;
  return `+49301234${String(number).padStart(4, "0")}`;
};

async function mutate(mutation: string, token?: string) {
  return api.graphql(`mutation { ${mutation} }`, { token });
}
const verifyEmail = (token: string) =>
  mutate(`verifyEmail(input: {token: "${token}"}) { user { id email emailVerified } }`);
const logIn = (identifier: string, password: string) =>
  mutate(
    `logIn(input: {identifier: "${identifier}", password: "${password}"}) { tokens { accessToken } }`,
  );
const updateMe = (patch: string, token: string) =>
  mutate(`updateMe(input: {patch: {${patch}}}) { user { email phone emailVerified } }`, token);

describe("verifying an e-mail address", () => {
  it("works once with the link that came by mail, as text and as HTML", async () => {
    const { email, token } = await api.signUp();
    const secret = await secretIn(mails(email));
    const [mail] = await mails(email)();
    expect(mail).toContain(`https://app.example.com/verify-email?token=${secret}`);
    expect(mail).toContain("Content-Type: text/plain");
    expect(mail).toContain("Content-Type: text/html");
    const first = await verifyEmail(secret);
    expect(first.data.verifyEmail.user).toMatchObject({ email, emailVerified: true });
    const second = await verifyEmail(secret);
    expect(second.errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "token" });
    const again = await mutate("requestEmailVerification(input: {}) { clientMutationId }", token);
    expect(again.errors[0]?.extensions.code).toBe("CONFLICT");
  });

  it("a new link voids the one before, and each is good for 24 hours", async () => {
    const { email, token, userId } = await api.signUp();
    const first = await secretIn(mails(email));
    await mutate("requestEmailVerification(input: {}) { clientMutationId }", token);
    const second = await secretIn(mails(email), 2);
    expect((await verifyEmail(first)).errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
    await api.database.owner.query(
      "update app_private.user_tokens set expires_at = expires_at - interval '24 hours' where user_id = $1",
      [userId],
    );
    expect((await verifyEmail(second)).errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
  });

  it.each(["", "x", "\\u0000", "a".repeat(5000)])("refuses the token %j", async (token) => {
    const { errors, status } = await verifyEmail(token);
    expect(errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
    expect(status).toBeLessThan(500);
  });
});

describe("changing an address", () => {
  it("leaves the old e-mail in force until the new one is proven, and tells the old one", async () => {
    const { email, token } = await api.signUp();
    await secretIn(mails(email));
    const next = `next-${email}`;
    const { data } = await updateMe(`email: "${next}"`, token);
    expect(data.updateMe.user.email).toBe(email);
    await until(mails(email), (found) => found.some((mail) => mail.includes("about to change")));
    const secret = await secretIn(mails(next));
    expect((await verifyEmail(secret)).data.verifyEmail.user).toMatchObject({
      email: next,
      emailVerified: true,
    });
    expect((await logIn(email, PASSWORD)).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect((await logIn(next, PASSWORD)).errors).toEqual([]);
  });

  it("to a taken and proven one looks as to any other, and fails when it is proven", async () => {
    const ann = await api.signUp();
    const bob = await api.signUp();
    await secretIn(mails(ann.email));
    const { errors } = await updateMe(`email: "${ann.email.toUpperCase()}"`, bob.token);
    expect(errors).toEqual([]);
    const secret = await secretIn(mails(ann.email), 2);
    await api.database.owner.query(
      "update app_public.users set email_verified = true where id = $1",
      [ann.userId],
    );
    expect((await verifyEmail(secret)).errors[0]?.extensions.code).toBe("CONFLICT");
  });

  it.each([
    ['email: "nobody"', "email"],
    ["email: null", "email"],
    ['phone: "12345"', "phone"],
  ])("to %s is BAD_USER_INPUT and changes nothing", async (patch, field) => {
    const { token, email } = await api.signUp();
    const { errors } = await updateMe(`${patch}, lastName: "Changed"`, token);
    expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field });
    const { data } = await api.graphql("{ me { email lastName } }", { token });
    expect(data.me).toEqual({ email, lastName: null });
  });
});

describe("verifying a phone number", () => {
  it("works with the code that came by SMS, for its user alone", async () => {
    const ann = await api.signUp();
    const bob = await api.signUp();
    const to = phone();
    await updateMe(`phone: "${to}"`, ann.token);
    const code = await secretIn(sms(to));
    const verify = (token: string) =>
      mutate(`verifyPhone(input: {code: "${code}"}) { user { phone phoneVerified } }`, token);
    expect((await verify(bob.token)).errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
    expect((await verify(ann.token)).data.verifyPhone.user).toEqual({
      phone: to,
      phoneVerified: true,
    });
    expect((await verify(ann.token)).errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "code",
    });
  });

  it("a code is good for 10 minutes", async () => {
    const { token, userId } = await api.signUp();
    const to = phone();
    await updateMe(`phone: "${to}"`, token);
    const code = await secretIn(sms(to));
    expect(code).toMatch(/^\d{6}$/);
    const { rows } = await api.database.owner.query(
      `update app_private.user_tokens set expires_at = expires_at - interval '10 minutes'
       where user_id = $1 and purpose = 'phone_verification' returning expires_at > now() as lives`,
      [userId],
    );
    expect(rows).toEqual([{ lives: false }]);
    const { errors } = await mutate(`verifyPhone(input: {code: "${code}"}) { user { id } }`, token);
    expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "code" });
  });

  it("ends after five wrong tries, also for the right code", async () => {
    const { token } = await api.signUp();
    const to = phone();
    await updateMe(`phone: "${to}"`, token);
    const code = await secretIn(sms(to));
    const wrong = code === "000000" ? "000001" : "000000";
    for (let i = 0; i < 5; i += 1) {
      await mutate(`verifyPhone(input: {code: "${wrong}"}) { user { id } }`, token);
    }
    const { errors } = await mutate(`verifyPhone(input: {code: "${code}"}) { user { id } }`, token);
    expect(errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
  });
});

describe("resetting a password", () => {
  const request = (identifier: string) =>
    mutate(`requestPasswordReset(input: {identifier: "${identifier}"}) { clientMutationId }`);
  const reset = (token: string, newPassword: string) =>
    mutate(
      `resetPassword(input: {token: "${token}", newPassword: "${newPassword}"}) { clientMutationId }`,
    );

  it("answers alike for a known and an unknown address, and sends nothing to the unknown", async () => {
    const { email } = await api.signUp();
    const known = await request(email);
    const unknown = await request("nobody@example.com");
    expect(known).toEqual(unknown);
    expect(known.errors).toEqual([]);
    await until(mails(email), (found) =>
      found.some((mail) => mail.includes("reset-password?token=")),
    );
    expect(await mails("nobody@example.com")()).toEqual([]);
  });

  it("works once, ends all sessions, logs nobody in, and mails a notice", async () => {
    const { email, token, userId } = await api.signUp();
    await secretIn(mails(email));
    await request(email);
    const secret = await secretIn(mails(email), 2);
    const short = await reset(secret, "short");
    expect(short.errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "newPassword",
    });
    const used = await reset(secret, "a whole new password");
    expect(used.errors).toEqual([]);
    expect((await api.graphql("{ me { id } }", { token })).status).toBe(401);
    expect((await reset(secret, "yet another password")).errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "token",
    });
    expect((await logIn(email, PASSWORD)).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect((await logIn(email, "a whole new password")).errors).toEqual([]);
    await until(mails(email), (found) => found.some((mail) => mail.includes("password was reset")));
    const { rows } = await api.database.owner.query(
      "select email_verified from app_public.users where id = $1",
      [userId],
    );
    expect(rows).toEqual([{ email_verified: true }]);
  });

  it("a link is good for 30 minutes", async () => {
    const { email, userId } = await api.signUp();
    await secretIn(mails(email));
    await request(email);
    const secret = await secretIn(mails(email), 2);
    await api.database.owner.query(
      "update app_private.user_tokens set expires_at = expires_at - interval '30 minutes' where user_id = $1",
      [userId],
    );
    expect((await reset(secret, "a whole new password")).errors[0]?.extensions.code).toBe(
      "BAD_USER_INPUT",
    );
  });

  it("two uses of one link at once: one wins", async () => {
    const { email } = await api.signUp();
    await secretIn(mails(email));
    await request(email);
    const secret = await secretIn(mails(email), 2);
    const answers = await Promise.all([
      reset(secret, "first new password"),
      reset(secret, "second new password"),
    ]);
    expect(answers.filter(({ errors }) => errors.length === 0)).toHaveLength(1);
  });
});

describe("secrets on their way", () => {
  it("are in no job, and in the database as hashes only", async () => {
    const { email, token } = await api.signUp();
    const to = phone();
    await updateMe(`phone: "${to}"`, token);
    const link = await secretIn(mails(email));
    const code = await secretIn(sms(to));
    const { rows } = await api.database.owner.query(
      `select (select string_agg(t::text, ' ') from app_private.user_tokens t) as tokens,
         (select string_agg(payload::text, ' ') from graphile_worker._private_jobs) as jobs`,
    );
    for (const text of Object.values(rows[0])) {
      expect(String(text)).not.toContain(link);
      expect(String(text)).not.toMatch(new RegExp(`\\b${code}\\b`));
    }
  });

  it("a name that is HTML is text in a mail", async () => {
    const email = "html@example.com";
    await mutate(
      `signUp(input: {email: "${email}", password: "${PASSWORD}", firstName: "<b>Eve</b>"}) { tokens { userId } }`,
    );
    await secretIn(mails(email));
    const [mail] = await mails(email)();
    expect(mail).toContain("<p>Hello &lt;b&gt;Eve&lt;/b&gt;,</p>");
  });
});
