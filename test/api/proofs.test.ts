import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PASSWORD, startTestApi, type TestApi } from "../support/api.ts";
import { mailsTo, secretIn } from "../support/mailbox.ts";
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
  it("links: single use; they come by mail as text and as HTML", async () => {
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

  it("links: older ones void; verification 24 h", async () => {
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

  it.each([
    ["that is empty", ""],
    ["that is short", "x"],
    ["with NUL", "\\u0000"],
    ["of 5,000 characters", "a".repeat(5000)],
    ["of lookalikes", "а".repeat(43)],
  ])("refuses a token %s", async (_what, token) => {
    const { errors, status } = await verifyEmail(token);
    expect(errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
    expect(status).toBeLessThan(500);
  });
});

describe("changing an address", () => {
  it("a new e-mail is pending until proven, and the old address is told", async () => {
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

  it("is seen as pending by its user alone, in what they export too, and taken back by the address in force", async () => {
    const { email, token, userId } = await api.signUp();
    const own = await secretIn(mails(email));
    const typo = email.replace("example.com", "exmaple.com");
    const pending = async (who = token) =>
      (await api.graphql(`{ user(id: ${userId}) { pendingEmail pendingPhone } }`, { token: who }))
        .data.user;
    expect(await pending()).toEqual({ pendingEmail: null, pendingPhone: null });
    await updateMe(`email: "${typo}"`, token);
    const lost = await secretIn(mails(typo));
    expect(await pending()).toEqual({ pendingEmail: typo, pendingPhone: null });
    const operator = await api.signUpOperator();
    expect(await pending(operator.token)).toEqual({ pendingEmail: null, pendingPhone: null });
    const { data } = await mutate("exportMyData(input: {}) { data }", token);
    expect(data.exportMyData.data).toMatchObject({ pending_email: typo, pending_phone: null });
    expect((await verifyEmail(own)).errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
    await updateMe(`email: "${email}"`, token);
    expect(await pending()).toEqual({ pendingEmail: null, pendingPhone: null });
    expect((await verifyEmail(lost)).errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
    await mutate("requestEmailVerification(input: {}) { clientMutationId }", token);
    const anew = await secretIn(mails(email), 2);
    expect((await verifyEmail(anew)).data.verifyEmail.user).toMatchObject({ emailVerified: true });
    const again = await mutate("requestEmailVerification(input: {}) { clientMutationId }", token);
    expect(again.errors[0]?.message).toBe("It is verified already.");
  });

  it("is taken back by null where it would be the first one; one in force cannot be removed", async () => {
    const { token } = await api.signUp();
    const phone = (value: string) =>
      api.graphql(
        `mutation { updateMe(input: {patch: {phone: ${value}}}) { user { phone pendingPhone } } }`,
        { token },
      );
    expect((await phone('"+49 30 777301"')).data.updateMe.user.pendingPhone).toBe("+4930777301");
    // What is no number is said to be none, not to be one too many.
    expect((await phone('"123"')).errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "phone",
    });
    expect((await phone("null")).data.updateMe.user).toEqual({ phone: null, pendingPhone: null });
    const removed = await updateMe("email: null", token);
    expect(removed.errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "email",
      hint: "A change that waits is taken back with the address that is in force.",
    });
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

  it("no automatic log-in after a reset; all sessions end; a notice is mailed", async () => {
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

  it("links: reset 30 min", async () => {
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

  it("links: older ones void, those of a reset too", async () => {
    const { email } = await api.signUp();
    await secretIn(mails(email));
    await request(email);
    const first = await secretIn(mails(email), 2);
    await request(email);
    const second = await secretIn(mails(email), 3);
    const refused = await reset(first, "a whole new password");
    expect(refused.errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "token" });
    expect((await logIn(email, PASSWORD)).errors).toEqual([]);
    expect((await reset(second, "a whole new password")).errors).toEqual([]);
  });

  it("links: those of a reset are void once the address is another", async () => {
    const { email, token } = await api.signUp();
    await secretIn(mails(email));
    await request(email);
    const link = await secretIn(mails(email), 2);
    await updateMe(`email: "moved-${email}"`, token);
    await verifyEmail(await secretIn(mails(`moved-${email}`)));
    expect((await reset(link, "a whole new password")).errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "token",
    });
    expect((await logIn(`moved-${email}`, PASSWORD)).errors).toEqual([]);
  });

  it("the answer to a reset carries no tokens", async () => {
    const { data } = await api.graphql(
      '{ __type(name: "ResetPasswordPayload") { fields { name } } }',
    );
    const fields = data.__type.fields.map(({ name }: { name: string }) => name);
    expect(fields).toEqual(["clientMutationId", "query"]);
  });

  it("links: single use by one atomic update: of two uses at once one wins", async () => {
    const { email } = await api.signUp();
    await secretIn(mails(email));
    await request(email);
    const secret = await secretIn(mails(email), 2);
    const answers = await Promise.all([
      reset(secret, "first new password"),
      reset(secret, "second new password"),
    ]);
    expect(answers.filter(({ errors }) => errors.length === 0)).toHaveLength(1);
    const other = await api.signUp();
    const link = await secretIn(mails(other.email));
    const uses = await Promise.all(Array.from({ length: 10 }, () => verifyEmail(link)));
    expect(uses.filter(({ errors }) => errors.length === 0)).toHaveLength(1);
  });
});

describe("secrets on their way", () => {
  it("links: at least 128 bits, SHA-256 at rest, in no job", async () => {
    const { email, userId } = await api.signUp();
    const link = await secretIn(mails(email));
    expect(Buffer.from(link, "base64url").length * 8).toBeGreaterThanOrEqual(128);
    const { rows } = await api.database.owner.query(
      "select token_hash from app_private.user_tokens where user_id = $1",
      [userId],
    );
    expect(rows).toEqual([{ token_hash: createHash("sha256").update(link).digest() }]);
    const { rows: jobs } = await api.database.owner.query(
      "select from graphile_worker._private_jobs where payload::text like '%' || $1 || '%'",
      [link],
    );
    expect(jobs).toEqual([]);
  });

  it("a name that is HTML is text in a mail", async () => {
    const email = "html@example.com";
    await mutate(
      `signUp(input: {email: "${email}", password: "${PASSWORD}", firstName: "<b>Eve</b>"}) { tokens { userId } }`,
    );
    await secretIn(mails(email));
    const [mail] = await mails(email)();
    expect(mail).toContain("by the name of &quot;&lt;b&gt;Eve&lt;/b&gt;&quot;");
  });
});
