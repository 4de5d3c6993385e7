import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";
import { mailsTo, secretIn } from "../support/mailbox.ts";
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

/** Whether a reset link went out, once the worker has looked at the request. */
async function requestReset(identifier: string, userId: number): Promise<boolean> {
  await api.graphql(
    `mutation { requestPasswordReset(input: {identifier: "${identifier}"}) { clientMutationId } }`,
  );
  const { owner } = api.database;
  await until(
    async () => (await owner.query("select from graphile_worker.jobs")).rowCount,
    (jobs) => jobs === 0,
  );
  const { rowCount } = await owner.query(
    "delete from app_private.user_tokens where user_id = $1 and purpose = 'password_reset'",
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
  await api.graphql(
    `mutation { requestPasswordReset(input: {identifier: "${email}"}) { clientMutationId } }`,
  );
  const reset = await until(
    async () => (await mailsTo(worker.dataDirectory, email)).join(),
    (mails) => mails.includes("reset-password?token="),
  );
  const [, resetToken] = /reset-password\?token=([\w-]{43})/.exec(reset) as RegExpExecArray;
  const { errors } = await api.graphql(
    `mutation { resetPassword(input: {token: "${resetToken}", newPassword: "a whole new password"}) { clientMutationId } }`,
  );
  expect(errors).toEqual([]);
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
