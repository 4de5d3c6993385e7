import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Account, PASSWORD, startTestApi, type TestApi } from "../support/api.ts";
import { RETURN_URL, signInWith } from "../support/browser.ts";
import { mailsTo, secretIn, smsTo } from "../support/mailbox.ts";
import {
  type FakeGoogle,
  type FakeProvider,
  startGitHub,
  startGoogle,
} from "../support/providers.ts";
import { openSocket } from "../support/subscriptions.ts";
import { until } from "../support/until.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

// What somebody tries who wants another's account; each was found by trying.
let api: TestApi;
let worker: TestWorker;
let google: FakeGoogle;
let github: FakeProvider;
const KEY = { CREDENTIALS_KEY: Buffer.alloc(32, 7).toString("base64") };

beforeAll(async () => {
  [google, github] = await Promise.all([startGoogle(), startGitHub()]);
  api = await startTestApi({
    environment: {
      ...KEY,
      ...google.environment,
      ...github.environment,
      ALLOWED_REDIRECTS: RETURN_URL,
      TRUST_PROXY: "1",
    },
  });
  worker = await startTestWorker(api.database, KEY);
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
  await Promise.all([google.stop(), github.stop()]);
});

let victims = 0;
let victim: string;
beforeEach(() => {
  victims += 1;
  victim = `victim${victims}@example.com`;
  google.person = { sub: `victim-${victims}`, email: victim, email_verified: true };
  github.person = { user: { id: 9000 + victims, login: "attacker" }, emails: [] };
});

const mutate = (mutation: string, token?: string) =>
  api.graphql(`mutation { ${mutation} }`, { token });
const codeOf = ({ errors }: { errors: { extensions: { code: string } }[] }) =>
  errors[0]?.extensions.code ?? "ok";

/** The token of the victim's newest reset link. */
async function resetLink(address = victim): Promise<string> {
  await mutate(`requestPasswordReset(input: {identifier: "${address}"}) { clientMutationId }`);
  const mails = await until(
    async () => (await mailsTo(worker.dataDirectory, address)).join(),
    (found) => found.includes("reset-password?token="),
  );
  return [...mails.matchAll(/reset-password\?token=([\w-]{43})/g)].at(-1)?.[1] as string;
}
const reset = (token: string) =>
  mutate(
    `resetPassword(input: {token: "${token}", newPassword: "the victim's own"}) { clientMutationId }`,
  );

async function provePhone(account: Account, number: string): Promise<void> {
  await mutate(`updateMe(input: {patch: {phone: "${number}"}}) { user { id } }`, account.token);
  const code = await secretIn(() => smsTo(worker.dataDirectory, number));
  const answer = await mutate(
    `verifyPhone(input: {code: "${code}"}) { user { id } }`,
    account.token,
  );
  expect(answer.errors).toEqual([]);
}

describe("somebody who signed up with another's address", () => {
  it("cannot link an identity between the request of a reset and its use", async () => {
    const attacker = await api.signUp(victim);
    const link = await resetLink();
    await signInWith(api, "github", { token: attacker.token });
    expect(codeOf(await reset(link))).toBe("BAD_USER_INPUT");
  });

  it("cannot keep it from its owner by proving a phone of their own", async () => {
    const attacker = await api.signUp(victim);
    await provePhone(attacker, `+49305557${String(victims).padStart(3, "0")}`);
    const owner = await signInWith(api, "google");
    expect(owner.errors).toEqual([]);
    expect(owner.tokens.userId).not.toBe(attacker.userId);
  });

  it("loses it to whoever proves it in another account", async () => {
    const attacker = await api.signUp(victim);
    const owner = await api.signUp(`other-${victim}`);
    // Its link is out: it does not meet the next one.
    await secretIn(() => mailsTo(worker.dataDirectory, `other-${victim}`));
    await mutate(`updateMe(input: {patch: {email: "${victim}"}}) { user { id } }`, owner.token);
    const mails = await until(
      async () => await mailsTo(worker.dataDirectory, victim),
      (found) => found.length >= 2,
    );
    const [, link] = /verify-email\?token=([\w-]{43})/.exec(
      mails.at(-1) as string,
    ) as RegExpExecArray;
    const proven = await mutate(`verifyEmail(input: {token: "${link}"}) { user { id email } }`);
    expect(proven.errors).toEqual([]);
    expect(proven.data.verifyEmail.user).toEqual({ id: owner.userId, email: victim });
    const { data } = await api.graphql("{ me { email } }", { token: attacker.token });
    expect(data.me.email).toBeNull();
  });

  it("cannot come back with an identity while its owner takes the account over", async () => {
    for (let round = 0; round < 5; round += 1) {
      google.person = {
        sub: `r-${victims}-${round}`,
        email: `r${round}${victim}`,
        email_verified: true,
      };
      github.person = { user: { id: 90_000 + victims * 10 + round, login: "a" }, emails: [] };
      const attacker = await api.signUp(`r${round}${victim}`);
      await signInWith(api, "github", { token: attacker.token });
      const [owner, intruder] = await Promise.all([
        signInWith(api, "google"),
        signInWith(api, "github"),
      ]);
      expect(owner.errors).toEqual([]);
      const { data } = await api.graphql("{ oauth2Credentials { nodes { provider } } }", {
        token: owner.tokens.accessToken,
      });
      expect(data.oauth2Credentials.nodes).toEqual([{ provider: "GOOGLE" }]);
      if (intruder.tokens?.userId === owner.tokens.userId) {
        const { status } = await api.graphql("{ me { id } }", {
          token: intruder.tokens.accessToken,
        });
        expect(status).toBe(401);
      }
    }
  });
});

it("logOutEverywhere voids a change of address that a thief had begun", async () => {
  const account = await api.signUp(victim);
  await mutate(
    `updateMe(input: {patch: {email: "thief${victims}@example.com"}}) { user { id } }`,
    account.token,
  );
  const link = await secretIn(() => mailsTo(worker.dataDirectory, `thief${victims}@example.com`));
  await mutate("logOutEverywhere(input: {keepCurrent: true}) { clientMutationId }", account.token);
  expect(codeOf(await mutate(`verifyEmail(input: {token: "${link}"}) { user { id } }`))).toBe(
    "BAD_USER_INPUT",
  );
});

it("a reset link to an address that is not the user's any more is void", async () => {
  const { userId } = await api.signUp(victim);
  const link = await resetLink();
  await api.database.owner.query("update app_public.users set email = $2 where id = $1", [
    userId,
    `new-${victim}`,
  ]);
  expect(codeOf(await reset(link))).toBe("BAD_USER_INPUT");
});

it("an identity does not stick to an account that was closed by hand", async () => {
  const first = await signInWith(api, "google");
  await api.database.owner.query("update app_public.users set deleted_at = now() where id = $1", [
    first.tokens.userId,
  ]);
  const { rows } = await api.database.owner.query(
    "select from app_public.oauth2_credentials where user_id = $1",
    [first.tokens.userId],
  );
  expect(rows).toEqual([]);
});

it("a session that an earlier field of the operation has ended does nothing more", async () => {
  const { token } = await api.signUp(victim);
  const { data, errors } = await api.graphql(
    `mutation {
      logOut(input: {}) { clientMutationId }
      changePassword(input: {currentPassword: "correct horse battery", newPassword: "another password"}) { user { id } }
    }`,
    { token },
  );
  expect(data?.changePassword ?? null).toBeNull();
  expect(errors[0]?.extensions.code).toBe("SESSION_REVOKED");
});

it("NUL and lone surrogates of a provider are no internal error", async () => {
  Object.assign(google.person, {
    given_name: "A\0da\nVisit http://evil.example",
    family_name: "\ud800",
  });
  const { tokens, errors } = await signInWith(api, "google");
  expect(errors).toEqual([]);
  const { data } = await api.graphql("{ me { firstName lastName email } }", {
    token: tokens.accessToken,
  });
  expect(data.me).toEqual({
    firstName: "A da Visit http://evil.example",
    lastName: "\ufffd",
    email: victim,
  });
});

it.each(["a<victim@corp.example", "p,q@example.com", 'x"y@example.com', "a;b@example.com"])(
  "%s is no address: a mail would go elsewhere",
  async (email) => {
    const { errors } = await api.graphql(
      `mutation ($input: SignUpInput!) { signUp(input: $input) { tokens { userId } } }`,
      { variables: { input: { email, password: "correct horse battery", firstName: "X" } } },
    );
    expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "email" });
  },
);

it.each([
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"],
])("attempts from %s are counted by %s", async (ip, key) => {
  const { rows } = await api.database.owner.query("select app_private.ip_key($1) as key", [{ ip }]);
  expect(rows).toEqual([{ key }]);
});

it("a WebSocket behind a proxy is counted by the address that the proxy names", async () => {
  const { token, userId } = await api.signUp(victim);
  const socket = openSocket(api.url, {
    authorization: `Bearer ${token}`,
    headers: { "x-forwarded-for": "203.0.113.9" },
  });
  await socket.subscribe("mutation { exportMyData(input: {}) { data } }").next();
  socket.close();
  const { rows } = await api.database.owner.query(
    `select host(ip_address) as ip from app_private.security_events
     where user_id = $1 and kind = 'data_exported'`,
    [userId],
  );
  expect(rows).toEqual([{ ip: "203.0.113.9" }]);
});

it("a device whose session has expired and gone gets no more pushes", async () => {
  const { token, userId } = await api.signUp(victim);
  await mutate(
    `registerDevice(input: {token: "gone-${victims}", deviceType: WEB}) { deviceToken { id } }`,
    token,
  );
  await api.database.owner.query("delete from app_public.sessions where user_id = $1", [userId]);
  const { rows } = await api.database.owner.query(
    "select disabled_reason from app_public.device_tokens where user_id = $1",
    [userId],
  );
  expect(rows).toEqual([{ disabled_reason: "logged_out" }]);
});

it("an e-mail address that nobody proves is freed where a phone was proven", async () => {
  const { userId, email } = await api.signUp(victim);
  const { owner } = api.database;
  await owner.query(
    `update app_public.users set phone = $2, phone_verified = true, created_at = now() - interval '25 hours'
     where id = $1`,
    [userId, `+49305558${String(victims).padStart(3, "0")}`],
  );
  await owner.query("delete from app_private.user_tokens where user_id = $1", [userId]);
  await owner.query("select graphile_worker.add_job('delete_expired')");
  await until(
    async () =>
      (await owner.query("select email from app_public.users where id = $1", [userId])).rows[0]
        .email,
    (left) => left === null,
  );
  expect((await api.signUp(email)).userId).not.toBe(userId);
});

it("an e-mail address that nobody proves is freed where an identity with another is linked, however often a link is asked for", async () => {
  const { userId, email, token } = await api.signUp(victim);
  const { owner } = api.database;
  github.person = {
    user: { id: 9000 + victims, login: "attacker" },
    emails: [{ email: "attacker@example.com", primary: true, verified: true }],
  };
  await signInWith(api, "github", { token });
  await owner.query(
    "update app_public.users set created_at = now() - interval '25 hours' where id = $1",
    [userId],
  );
  await mutate("requestEmailVerification(input: {}) { clientMutationId }", token);
  await owner.query("select app_private.release_unproven_addresses(100)");
  expect((await api.signUp(email)).userId).not.toBe(userId);
});

it("an address that nobody has proven does not stay with a disabled account: who proves it gets one", async () => {
  const attacker = await api.signUp(victim);
  await api.database.owner.query("select app_private.disable_user($1, 'spam')", [attacker.userId]);
  const owner = await signInWith(api, "google");
  expect(owner.errors).toEqual([]);
  expect(owner.tokens.userId).not.toBe(attacker.userId);
});

describe("requests that are under way when an account is taken back", () => {
  const somebodyWaitsFor = (client: object) =>
    until(
      () =>
        api.database.owner.query(
          "select from pg_stat_activity where $1 = any (pg_blocking_pids(pid))",
          [(client as { processID: number }).processID],
        ),
      ({ rowCount }) => rowCount === 1,
    );

  /** Has a request wait for its turn, takes the account back meanwhile, and gives what is answered then. */
  async function overtaken(userId: number, ask: () => Promise<unknown>, takeBack: string) {
    const client = await api.database.owner.connect();
    try {
      await client.query("begin");
      await client.query("select from app_public.users where id = $1 for update", [userId]);
      const answer = ask();
      await somebodyWaitsFor(client);
      await client.query(takeBack, [userId]);
      await client.query("commit");
      return await answer;
    } finally {
      client.release();
    }
  }
  const RESET = "select app_private.set_password($1, 'x', null, 'password_reset')";
  const pending = async (userId: number) =>
    (
      await api.database.owner.query(
        "select purpose from app_private.user_tokens where user_id = $1 and used_at is null and target <> $2",
        [userId, victim],
      )
    ).rows;

  it.each([
    ["a new password", RESET],
    ["disabling the account", "select app_private.disable_user($1, 'stolen')"],
  ])("leave no change of address behind: %s", async (_, takeBack) => {
    const { userId, token } = await api.signUp(victim);
    const change = 'updateMe(input: {patch: {email: "thief@example.com"}}) { user { id } }';
    const answer = await overtaken(userId, () => mutate(change, token), takeBack);
    expect(codeOf(answer as never)).toBe("SESSION_REVOKED");
    expect(await pending(userId)).toEqual([]);
  });

  it("send no new link, and change no password", async () => {
    const { userId, token } = await api.signUp(victim);
    const request = "requestEmailVerification(input: {}) { clientMutationId }";
    const sent = await overtaken(userId, () => mutate(request, token), RESET);
    expect(codeOf(sent as never)).toBe("SESSION_REVOKED");

    const other = await api.signUp(`other-${victim}`);
    const password = `changePassword(input: {currentPassword: "${PASSWORD}", newPassword: "a thief's own password"}) { user { id } }`;
    const changed = await overtaken(
      other.userId,
      () => mutate(password, other.token),
      "select app_private.revoke_sessions(array(select id from app_public.sessions where user_id = $1), 'log_out_everywhere')",
    );
    expect(codeOf(changed as never)).toBe("SESSION_REVOKED");
  });

  it("link no identity", async () => {
    const { userId, token } = await api.signUp(victim);
    const { errors } = (await overtaken(
      userId,
      () => signInWith(api, "github", { token }),
      RESET,
    )) as Awaited<ReturnType<typeof signInWith>>;
    expect(errors[0]?.extensions.code).toBe("SESSION_REVOKED");
    const { rowCount } = await api.database.owner.query(
      "select from app_public.oauth2_credentials where user_id = $1",
      [userId],
    );
    expect(rowCount).toBe(0);
  });

  it("wait for one that began before, and take what it left: a log-out everywhere", async () => {
    const { userId, token } = await api.signUp(victim);
    const thief = await api.database.owner.connect();
    try {
      await thief.query("begin");
      await thief.query("select from app_public.users where id = $1 for no key update", [userId]);
      await thief.query(
        "select app_private.request_proof($1, 'phone_verification', '+4930777401')",
        [userId],
      );
      const logOut = mutate(
        "logOutEverywhere(input: {keepCurrent: true}) { clientMutationId }",
        token,
      );
      await somebodyWaitsFor(thief);
      await thief.query("commit");
      expect(codeOf((await logOut) as never)).toBe("ok");
      expect(await pending(userId)).toEqual([]);
    } finally {
      thief.release();
    }
  });
});
