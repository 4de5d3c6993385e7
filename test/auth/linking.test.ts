import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Account, PASSWORD, startTestApi, type TestApi } from "../support/api.ts";
import { RETURN_URL, signInWith } from "../support/browser.ts";
import {
  type FakeGoogle,
  type FakeProvider,
  startFacebook,
  startGoogle,
} from "../support/providers.ts";

let api: TestApi;
let google: FakeGoogle;
let facebook: FakeProvider;

beforeAll(async () => {
  [google, facebook] = await Promise.all([startGoogle(), startFacebook()]);
  api = await startTestApi({
    environment: {
      ...google.environment,
      ...facebook.environment,
      ALLOWED_REDIRECTS: RETURN_URL,
    },
  });
});
afterAll(async () => {
  await api.stop();
  await google.stop();
  await facebook.stop();
});

let people = 0;
beforeEach(() => {
  people += 1;
  const email = `linked${people}@example.com`;
  google.person = { sub: `sub-${people}`, email, email_verified: true, given_name: "Ada" };
  facebook.person = { id: String(people), first_name: "Ada", email };
});

async function signUp(options: { verified?: boolean } = {}): Promise<Account> {
  const account = await api.signUp(String(google.person.email));
  if (options.verified) {
    await api.database.owner.query(
      "update app_public.users set email_verified = true where id = $1",
      [account.userId],
    );
  }
  return account;
}

async function logIn(email: string) {
  return api.graphql(
    `mutation ($input: LogInInput!) { logIn(input: $input) { tokens { accessToken userId } } }`,
    { variables: { input: { identifier: email, password: PASSWORD } } },
  );
}

async function credentials(token: string): Promise<{ id: number; provider: string }[]> {
  const { data } = await api.graphql("{ oauth2Credentials { nodes { id provider } } }", { token });
  return data.oauth2Credentials.nodes;
}

function unlink(token: string, id: number) {
  return api.graphql(
    `mutation { unlinkOauth2Credential(input: {id: ${id}}) { oauth2Credential { id provider } } }`,
    { token },
  );
}

const CONFLICT = [{ extensions: { code: "CONFLICT" } }];

describe("linking to an existing account", () => {
  it("happens where the provider's e-mail and the local e-mail are verified", async () => {
    const account = await signUp({ verified: true });
    google.person.email = account.email.toUpperCase();
    const { tokens } = await signInWith(api, "google");
    expect(tokens.userId).toBe(account.userId);
    expect((await logIn(account.email)).errors).toEqual([]);
    expect((await api.graphql("{ me { id } }", { token: account.token })).status).toBe(200);
  });

  it("does not happen by an address that only a database takes for the same", async () => {
    const account = await signUp({ verified: true });
    google.person.email = account.email.replace("li", "l\u0130");
    google.person.sub = `other-${people}`;
    const { tokens } = await signInWith(api, "google");
    expect(tokens?.userId).toBeDefined();
    expect(tokens?.userId).not.toBe(account.userId);
  });

  it("does not happen by an address that the provider has not verified", async () => {
    await signUp({ verified: true });
    google.person.email_verified = false;
    expect((await signInWith(api, "google")).errors).toMatchObject(CONFLICT);
    expect((await signInWith(api, "facebook")).errors).toMatchObject(CONFLICT);
  });

  it("does not happen where only a phone is proven: the address goes to who proved it", async () => {
    const account = await signUp();
    await api.database.owner.query(
      "update app_public.users set phone = $2, phone_verified = true where id = $1",
      [account.userId, `+4930${1_000_000 + people}`],
    );
    const { tokens } = await signInWith(api, "google");
    expect(tokens.userId).not.toBe(account.userId);
    const me = async (token: string) =>
      (await api.graphql("{ me { id email phone } }", { token })).data.me;
    expect(await me(tokens.accessToken)).toMatchObject({ email: account.email });
    expect(await me(account.token)).toMatchObject({ id: account.userId, email: null });
  });

  it("does not happen otherwise: the person logs in first and links", async () => {
    const account = await signUp({ verified: true });
    google.person.email_verified = false;
    expect((await signInWith(api, "google")).errors).toMatchObject(CONFLICT);
    const linked = await signInWith(api, "google", { token: account.token });
    expect(linked.tokens.userId).toBe(account.userId);
    expect((await signInWith(api, "google")).tokens.userId).toBe(account.userId);
  });

  it("happens for who is logged in, whatever the address, and is mailed and logged", async () => {
    const account = await signUp();
    facebook.person.email = "somebody.else@example.com";
    const linked = await signInWith(api, "facebook", { token: account.token });
    expect(linked.tokens.userId).toBe(account.userId);
    expect(await credentials(account.token)).toMatchObject([{ provider: "FACEBOOK" }]);
    const { data } = await api.graphql("{ me { securityEvents { nodes { kind } } } }", {
      token: account.token,
    });
    expect(data.me.securityEvents.nodes).toContainEqual({ kind: "IDENTITY_LINKED" });
    const { rows } = await api.database.owner.query(
      `select payload from graphile_worker._private_jobs j where payload->>'notice' = 'identity_linked'
       and (payload->>'userId')::int = $1`,
      [account.userId],
    );
    expect(rows).toHaveLength(1);
  });

  it("never takes an identity from another user", async () => {
    const { tokens } = await signInWith(api, "google");
    const other = await api.signUp();
    expect((await signInWith(api, "google", { token: other.token })).errors).toMatchObject(
      CONFLICT,
    );
    expect(await credentials(other.token)).toEqual([]);
    expect(await credentials(tokens.accessToken)).toHaveLength(1);
  });
});

describe("a verified provider address that meets an unverified local account", () => {
  it("takes it over: that account's password and sessions go first (pre-hijack)", async () => {
    // The attacker signs up with somebody's address, and waits.
    const attacker = await signUp();
    const linked = await signInWith(api, "facebook", { token: attacker.token });
    expect(linked.errors).toEqual([]);
    await api.graphql(
      'mutation { updateMe(input: {patch: {phone: "+4930555123"}}) { user { id } } }',
      { token: attacker.token },
    );
    const owner = await signInWith(api, "google");
    expect(owner.tokens.userId).toBe(attacker.userId);

    expect((await api.graphql("{ me { id } }", { token: attacker.token })).status).toBe(401);
    expect((await api.graphql("{ me { id } }", { token: linked.tokens.accessToken })).status).toBe(
      401,
    );
    const refreshed = await api.graphql(
      `mutation { refreshTokens(input: {refreshToken: "${attacker.refreshToken}"}) { tokens { userId } } }`,
    );
    expect(refreshed.errors[0]?.extensions.code).toBe("SESSION_REVOKED");
    expect((await logIn(attacker.email)).errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect(await credentials(owner.tokens.accessToken)).toMatchObject([{ provider: "GOOGLE" }]);
    const { rows } = await api.database.owner.query(
      "select from app_private.user_tokens where user_id = $1",
      [attacker.userId],
    );
    expect(rows).toEqual([]);
    expect((await signInWith(api, "facebook")).errors).toMatchObject(CONFLICT);
  });
});

describe("an imported credential of the template, which has no subject", () => {
  async function importFor(userId: number, email: string): Promise<void> {
    await api.database.owner.query(
      "insert into app_public.oauth2_credentials (user_id, provider, email) values ($1, 'google', $2)",
      [userId, email],
    );
  }

  it("gets it at the first sign-in with its verified address", async () => {
    const account = await api.signUp();
    await importFor(account.userId, String(google.person.email));
    const { tokens } = await signInWith(api, "google");
    expect(tokens.userId).toBe(account.userId);
    expect(await credentials(tokens.accessToken)).toHaveLength(1);
  });

  it("stays without one where the address is unverified", async () => {
    const account = await api.signUp();
    await importFor(account.userId, String(google.person.email));
    google.person.email_verified = false;
    expect((await signInWith(api, "google")).tokens.userId).not.toBe(account.userId);
  });
});

it("20 first sign-ins of one identity at once make one account", async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => signInWith(api, "google")));
  expect(new Set(answers.map(({ tokens }) => tokens.userId)).size).toBe(1);
});

it("a sign-up and a sign-in with a provider for one address at once make one account", async () => {
  const email = String(google.person.email);
  await Promise.allSettled([api.signUp(email), signInWith(api, "google"), api.signUp(email)]);
  const { rows } = await api.database.owner.query("select from app_public.users where email = $1", [
    email,
  ]);
  expect(rows).toHaveLength(1);
});

describe("unlinkOauth2Credential", () => {
  it("takes an identity away, with a notice and an entry in the security log", async () => {
    const account = await signUp({ verified: true });
    const { tokens } = await signInWith(api, "google");
    const [credential] = await credentials(tokens.accessToken);
    const { data } = await unlink(account.token, credential?.id as number);
    expect(data.unlinkOauth2Credential.oauth2Credential.provider).toBe("GOOGLE");
    expect(await credentials(account.token)).toEqual([]);
    const { data: log } = await api.graphql("{ me { securityEvents { nodes { kind } } } }", {
      token: account.token,
    });
    expect(log.me.securityEvents.nodes[0]).toEqual({ kind: "IDENTITY_UNLINKED" });
  });

  it("refuses the last way to log in", async () => {
    const { tokens } = await signInWith(api, "google");
    const [credential] = await credentials(tokens.accessToken);
    const { errors } = await unlink(tokens.accessToken, credential?.id as number);
    expect(errors).toMatchObject(CONFLICT);
    expect(await credentials(tokens.accessToken)).toHaveLength(1);
  });

  it("leaves one of two where both are unlinked at once", async () => {
    const { tokens } = await signInWith(api, "google");
    await signInWith(api, "facebook", { token: tokens.accessToken });
    const both = await credentials(tokens.accessToken);
    expect(both).toHaveLength(2);
    const answers = await Promise.all(both.map(({ id }) => unlink(tokens.accessToken, id)));
    expect(answers.filter(({ errors }) => errors.length === 0)).toHaveLength(1);
    expect(await credentials(tokens.accessToken)).toHaveLength(1);
  });

  it("gives one answer for another user's and for none, and needs a log-in", async () => {
    const { tokens } = await signInWith(api, "google");
    const [credential] = await credentials(tokens.accessToken);
    const stranger = await api.signUp();
    const foreign = await unlink(stranger.token, credential?.id as number);
    const absent = await unlink(stranger.token, 2_000_000_000);
    expect(foreign.errors[0]?.extensions).toEqual(absent.errors[0]?.extensions);
    expect(foreign.errors[0]?.extensions.code).toBe("NOT_FOUND");
    const { errors } = await api.graphql(
      `mutation { unlinkOauth2Credential(input: {id: ${credential?.id}}) { clientMutationId } }`,
    );
    expect(errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });
});

describe("with SIGN_UP_CONFIRMATION=required", () => {
  let strict: TestApi;
  beforeAll(async () => {
    strict = await startTestApi({
      environment: {
        ...google.environment,
        ...facebook.environment,
        ALLOWED_REDIRECTS: RETURN_URL,
        SIGN_UP_CONFIRMATION: "required",
      },
    });
  });
  afterAll(() => strict.stop());

  it("an address that the provider verified is enough", async () => {
    expect((await signInWith(strict, "google")).errors).toEqual([]);
  });

  it("an unverified one gives one answer, whether it was taken or not", async () => {
    const fresh = await signInWith(strict, "facebook");
    const known = await signInWith(strict, "facebook");
    await signInWith(strict, "google");
    facebook.person.id = "987654";
    const taken = await signInWith(strict, "facebook");
    for (const { tokens, errors } of [fresh, known, taken]) {
      expect(tokens ?? null).toBeNull();
      expect(errors[0]?.extensions.code).toBe("FORBIDDEN");
    }
    expect(fresh.errors[0]?.extensions).toEqual(taken.errors[0]?.extensions);
  });
});
