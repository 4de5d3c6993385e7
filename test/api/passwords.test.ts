import { hash as bcrypt } from "@node-rs/bcrypt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, PASSWORD, startTestApi, type TestApi } from "../support/api.ts";
import { secretIn, smsTo } from "../support/mailbox.ts";
import { startTestWorker } from "../support/worker.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

const logIn = (identifier: string, password: string) =>
  api.graphql(
    "mutation ($input: LogInInput!) { logIn(input: $input) { tokens { accessToken } } }",
    { variables: { input: { identifier, password } } },
  );
const change = (account: Account, currentPassword: string, newPassword: string) =>
  api.graphql(
    "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { user { id } } }",
    { token: account.token, variables: { input: { currentPassword, newPassword } } },
  );

describe("a password", () => {
  it.each(["password", "Password1", "12345678", "qwertyuiop", "iloveyou", "PASSWORD123"])(
    "%s is refused, because it is one of the most common",
    async (password) => {
      const { errors } = await api.graphql(
        "mutation ($input: SignUpInput!) { signUp(input: $input) { tokens { userId } } }",
        { variables: { input: { email: "common@example.com", password, firstName: "C" } } },
      );
      expect(errors[0]).toMatchObject({
        message: "This password is one of the most common ones.",
        extensions: { code: "BAD_USER_INPUT", field: "password" },
      });
    },
  );

  it.each(["2a", "2b"])(
    "that the template stored as bcrypt $%s$ works, and is Argon2id from then on",
    async (version) => {
      const { email, userId } = await api.signUp();
      const old = (await bcrypt("template password", 10)).replace(/^\$2[aby]\$/, `$${version}$`);
      await api.database.owner.query(
        "update app_private.user_secrets set password_hash = $2 where user_id = $1",
        [userId, old],
      );
      expect((await logIn(email, "another password")).errors[0]?.extensions.code).toBe(
        "UNAUTHENTICATED",
      );
      expect((await logIn(email, "template password")).errors).toEqual([]);
      const { rows } = await api.database.owner.query(
        "select password_hash from app_private.user_secrets where user_id = $1",
        [userId],
      );
      expect(rows[0].password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
      expect((await logIn(email, "template password")).errors).toEqual([]);
    },
  );

  it("changing one asks for the current one, ends every other session, and has a notice mailed", async () => {
    const account = await api.signUp();
    const other = (await logIn(account.email, PASSWORD)).data.logIn.tokens.accessToken;
    const { data } = await change(account, PASSWORD, "a whole new password");
    expect(data.changePassword.user.id).toBe(account.userId);
    expect((await api.graphql("{ me { id } }", { token: account.token })).status).toBe(200);
    expect((await api.graphql("{ me { id } }", { token: other })).status).toBe(401);
    expect((await logIn(account.email, PASSWORD)).errors[0]?.extensions.code).toBe(
      "UNAUTHENTICATED",
    );
    expect((await logIn(account.email, "a whole new password")).errors).toEqual([]);
    const { rows } = await api.database.owner.query(
      "select payload ->> 'notice' as notice from graphile_worker._private_jobs where (payload ->> 'userId')::int = $1 and payload::jsonb ? 'notice'",
      [account.userId],
    );
    expect(rows).toEqual([{ notice: "password_changed" }]);
  });

  it("changing one with a wrong current one, by nobody, or to a bad one changes nothing", async () => {
    const account = await api.signUp();
    const wrong = await change(account, "not the password", "a whole new password");
    expect(wrong.errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "currentPassword",
    });
    const short = await change(account, PASSWORD, "short");
    expect(short.errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      field: "newPassword",
    });
    const nobody = await api.graphql(
      'mutation { changePassword(input: {currentPassword: "x", newPassword: "long enough"}) { user { id } } }',
    );
    expect(nobody.errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect((await logIn(account.email, PASSWORD)).errors).toEqual([]);
  });
});

describe("where sign-ups have to be confirmed", () => {
  let strict: TestApi;
  beforeAll(async () => {
    strict = await startTestApi({ environment: { SIGN_UP_CONFIRMATION: "required" } });
  });
  afterAll(() => strict.stop());
  const signUp = (email: string) =>
    strict.graphql(
      `mutation { signUp(input: {email: "${email}", password: "${PASSWORD}", firstName: "S"}) { tokens { userId } } }`,
    );

  it("never tokens, the same answer for a new and a taken address", async () => {
    const fresh = await signUp("strict@example.com");
    const taken = await signUp("STRICT@example.com");
    expect(fresh).toEqual(taken);
    expect(fresh).toMatchObject({ status: 200, data: { signUp: { tokens: null } }, errors: [] });
    const { rows } = await strict.database.owner.query(
      "select task_identifier as task, payload ->> 'notice' as notice from graphile_worker.jobs j join graphile_worker._private_jobs using (id) order by id",
    );
    expect(rows).toEqual([
      { task: "users__send_proof", notice: null },
      { task: "users__send_notice", notice: "sign_up_with_your_address" },
    ]);
  });

  it("nobody logs in before the address is verified, and then they do", async () => {
    const logInStrict = () =>
      strict.graphql(
        `mutation { logIn(input: {identifier: "wait@example.com", password: "${PASSWORD}"}) { tokens { userId } } }`,
      );
    await signUp("wait@example.com");
    // The answer is that of a wrong password: another one would tell that the address was free.
    const waiting = await logInStrict();
    const taken = await strict.graphql(
      `mutation { logIn(input: {identifier: "wait@example.com", password: "not the password"}) { tokens { userId } } }`,
    );
    expect(waiting.errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect(waiting).toEqual(taken);
    await strict.database.owner.query(
      "update app_public.users set email_verified = true where email = 'wait@example.com'",
    );
    expect((await logInStrict()).errors).toEqual([]);
  });

  it("a phone number is proven without a session, by number and code, and then logs in", async () => {
    const key = { CREDENTIALS_KEY: Buffer.alloc(32, 9).toString("base64") };
    const api = await startTestApi({ environment: { SIGN_UP_CONFIRMATION: "required", ...key } });
    const worker = await startTestWorker(api.database, key);
    await api.graphql(
      `mutation { signUp(input: {phone: "+49 30 5559001", password: "${PASSWORD}", firstName: "S"}) { tokens { userId } } }`,
    );
    const code = await secretIn(() => smsTo(worker.dataDirectory, "+49305559001"));
    const verify = (identifier: string, secret: string) =>
      api.graphql(
        `mutation { verifyPhone(input: {code: "${secret}", phone: "${identifier}"}) { clientMutationId } }`,
      );
    const wrong = code === "000000" ? "000001" : "000000";
    for (const answer of [
      await verify("+49305559001", wrong),
      await verify("+49305559999", code),
    ]) {
      expect(answer.errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "code" });
    }
    expect((await verify("+49305559001", code)).errors).toEqual([]);
    const { errors } = await api.graphql(
      `mutation { logIn(input: {identifier: "+49305559001", password: "${PASSWORD}"}) { tokens { userId } } }`,
    );
    expect(errors).toEqual([]);
    await worker.stop();
    await api.stop();
  });
});
