import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";
import { mailsTo, secretIn, smsTo } from "../support/mailbox.ts";
import { until } from "../support/until.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

let api: TestApi;
let worker: TestWorker;

beforeAll(async () => {
  api = await startTestApi();
  worker = await startTestWorker(api.database);
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
});

/** Waits until the worker has done all that it has. */
const noJobs = () =>
  until(
    async () => (await api.database.owner.query("select from graphile_worker.jobs")).rowCount,
    (jobs) => jobs === 0,
  );

/** Whether a reset link went out, once the worker has looked at the request. */
async function requestReset(identifier: string, userId: number): Promise<boolean> {
  await api.graphql(
    `mutation { requestPasswordReset(input: {identifier: "${identifier}"}) { clientMutationId } }`,
  );
  await noJobs();
  const { rowCount } = await api.database.owner.query(
    `with reset as (delete from app_private.user_tokens where user_id = $1 and purpose = 'password_reset' returning used_at)
     select from reset where used_at is null`,
    [userId],
  );
  return rowCount === 1;
}

it("a reset link goes to a proven address, or to any where nothing of the account is proven", async () => {
  const { email, userId } = await api.signUp();
  const set = (columns: string) =>
    api.database.owner.query(`update app_public.users set ${columns} where id = $1`, [userId]);
  expect(await requestReset(email, userId)).toBe(true);

  // Somebody proved a phone: the owner of an address that was only typed in gets no stranger's account.
  await set("phone = '+4930777001', phone_verified = true");
  expect(await requestReset(email, userId)).toBe(false);
  expect(await requestReset("+4930777001", userId)).toBe(true);

  await set("email_verified = true");
  expect(await requestReset(email, userId)).toBe(true);

  await set("email_verified = false, phone_verified = false");
  await api.database.owner.query(
    `insert into app_public.oauth2_credentials (user_id, provider, subject) values ($1, 'github', '1')`,
    [userId],
  );
  expect(await requestReset(email, userId)).toBe(false);
});

it("a reset voids a change of address that somebody else had begun", async () => {
  const { email, userId, token } = await api.signUp();
  // The intruder sends a link to an address of their own, and keeps it.
  await api.graphql(
    'mutation { updateMe(input: {patch: {email: "intruder@example.com"}}) { user { id } } }',
    { token },
  );
  const link = await secretIn(() => mailsTo(worker.dataDirectory, "intruder@example.com"));
  await resetPasswordBy(email, () => mailsTo(worker.dataDirectory, email));
  const used = await api.graphql(
    `mutation { verifyEmail(input: {token: "${link}"}) { user { id } } }`,
  );
  expect(used.errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "token" });
  const { rows } = await api.database.owner.query(
    "select email from app_public.users where id = $1",
    [userId],
  );
  expect(rows).toEqual([{ email }]);
});

/** The owner of an address sets a password by the link or code that comes to it. */
async function resetPasswordBy(identifier: string, messages: () => Promise<string[]>) {
  await api.graphql(
    `mutation { requestPasswordReset(input: {identifier: "${identifier}"}) { clientMutationId } }`,
  );
  const message = await until(
    async () => (await messages()).join(),
    (all) => all.includes("reset-password?token="),
  );
  const [, token] = /reset-password\?token=([\w-]{43})/.exec(message) as RegExpExecArray;
  const { errors } = await api.graphql(
    `mutation { resetPassword(input: {token: "${token}", newPassword: "the owner's own password"}) { clientMutationId } }`,
  );
  expect(errors).toEqual([]);
}

const account = async (userId: number) =>
  (
    await api.database.owner.query(
      "select email, email_verified, phone, phone_verified from app_public.users where id = $1",
      [userId],
    )
  ).rows[0];

it("a reset by mail throws out the phone that somebody else signed up with, and its code", async () => {
  const email = "victim-of-a-phone@example.com";
  const phone = "+4930777101";
  const { userId } = await api.signUp(email, phone);
  const code = await secretIn(() => smsTo(worker.dataDirectory, phone));
  await resetPasswordBy(email, () => mailsTo(worker.dataDirectory, email));
  const verified = await api.graphql(
    `mutation { verifyPhone(input: {phone: "${phone}", code: "${code}"}) { user { id } } }`,
  );
  expect(verified.errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "code" });
  expect(await account(userId)).toEqual({
    email,
    email_verified: true,
    phone: null,
    phone_verified: false,
  });
  expect(await requestReset(phone, userId)).toBe(false);
});

it("a reset by SMS throws out the e-mail address that somebody else signed up with, and its link; nobody there is told", async () => {
  const email = "intruder-beside-a-phone@example.com";
  const phone = "+4930777102";
  const { userId } = await api.signUp(email, phone);
  const link = await secretIn(() => mailsTo(worker.dataDirectory, email));
  await resetPasswordBy(phone, () => smsTo(worker.dataDirectory, phone));
  const verified = await api.graphql(
    `mutation { verifyEmail(input: {token: "${link}"}) { user { id } } }`,
  );
  expect(verified.errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "token" });
  expect(await account(userId)).toEqual({
    email: null,
    email_verified: false,
    phone,
    phone_verified: true,
  });
  await noJobs();
  expect(await mailsTo(worker.dataDirectory, email)).toHaveLength(1);
});

it("a reset keeps the other address where its owner has proven it", async () => {
  const { email, userId } = await api.signUp();
  await api.database.owner.query(
    "update app_public.users set phone = '+4930777103', phone_verified = true, email_verified = true where id = $1",
    [userId],
  );
  await resetPasswordBy(email, () => mailsTo(worker.dataDirectory, email));
  expect(await account(userId)).toEqual({
    email,
    email_verified: true,
    phone: "+4930777103",
    phone_verified: true,
  });
});

it("a reset by an unproven address takes an identity with that address along: it was as unproven", async () => {
  const { email, userId } = await api.signUp();
  await api.database.owner.query(
    `insert into app_public.oauth2_credentials (user_id, provider, subject, email) values ($1, 'facebook', '77', $2)`,
    [userId, email],
  );
  await resetPasswordBy(email, () => mailsTo(worker.dataDirectory, email));
  const { rowCount } = await api.database.owner.query(
    "select from app_public.oauth2_credentials where user_id = $1",
    [userId],
  );
  expect(rowCount).toBe(0);
});
