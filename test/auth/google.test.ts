import { generateKeyPairSync } from "node:crypto";
import jwt from "jsonwebtoken";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";
import { openBrowser, RETURN_URL, signInWith, startUrl } from "../support/browser.ts";
import { CLIENT, type FakeGoogle, startGoogle } from "../support/providers.ts";

let api: TestApi;
let google: FakeGoogle;

beforeAll(async () => {
  google = await startGoogle();
  api = await startTestApi({
    environment: { ...google.environment, ALLOWED_REDIRECTS: RETURN_URL },
  });
});
afterAll(async () => {
  await api.stop();
  await google.stop();
});

let people = 0;
beforeEach(() => {
  people += 1;
  google.person = {
    sub: `google-${people}`,
    email: `person${people}@gmail.example`,
    email_verified: true,
    given_name: "Grace",
    family_name: "Hopper",
    picture: "https://pictures.example/grace.png",
  };
});

async function logInWithIdToken(idToken: string, nonce = "a-nonce", provider = "GOOGLE") {
  const { data, errors } = await api.graphql(
    `mutation ($input: LogInWithIdTokenInput!) {
      logInWithIdToken(input: $input) { tokens { accessToken userId } }
    }`,
    { variables: { input: { provider, idToken, nonce } } },
  );
  return { tokens: data?.logInWithIdToken?.tokens, error: errors[0]?.extensions };
}

describe("sign-in with Google", () => {
  it("goes whole from the browser's redirect to tokens, and makes an account", async () => {
    const { tokens, errors } = await signInWith(api, "google");
    expect(errors).toEqual([]);
    expect(tokens).toMatchObject({ tokenType: "Bearer", expiresIn: 900 });
    const { data } = await api.graphql(
      "{ me { id firstName lastName email emailVerified picture oauth2Credentials { nodes { provider email } } } }",
      { token: tokens.accessToken },
    );
    expect(data.me).toEqual({
      id: tokens.userId,
      firstName: "Grace",
      lastName: "Hopper",
      email: google.person.email,
      emailVerified: true,
      picture: google.person.picture,
      oauth2Credentials: { nodes: [{ provider: "GOOGLE", email: google.person.email }] },
    });
  });

  it("finds the same user again by the subject, whatever the address has become", async () => {
    const first = await signInWith(api, "google");
    google.person.email = "renamed@gmail.example";
    const second = await signInWith(api, "google");
    expect(second.tokens.userId).toBe(first.tokens.userId);
  });

  it("asks with PKCE S256, a nonce and the one redirect URI of this provider", async () => {
    const response = await openBrowser(api).get(
      startUrl(api, "google", {
        redirect_uri: RETURN_URL,
        code_challenge: "x".repeat(43),
      }),
    );
    const asked = new URL(response.headers.get("location") as string).searchParams;
    expect(asked.get("code_challenge_method")).toBe("S256");
    expect(asked.get("code_challenge")).toMatch(/^[\w-]{43}$/);
    expect(asked.get("code_challenge")).not.toBe("x".repeat(43));
    expect(asked.get("nonce")).toMatch(/^[\w-]{43}$/);
    expect(asked.get("redirect_uri")).toBe("http://localhost:5678/auth/google/callback");
    expect(asked.get("client_id")).toBe(CLIENT.id);
  });

  it("refuses an answer with another nonce", async () => {
    google.person.nonce = "another";
    await expect(signInWith(api, "google")).rejects.toThrow("error=temporarily_unavailable");
  });

  it("ignores hd: a hosted domain is no proof of an address", async () => {
    Object.assign(google.person, { hd: "gmail.example", email_verified: false });
    const { tokens } = await signInWith(api, "google");
    const { data } = await api.graphql("{ me { emailVerified } }", { token: tokens.accessToken });
    expect(data.me.emailVerified).toBe(false);
  });

  it("takes a person in whose address or picture it cannot keep", async () => {
    Object.assign(google.person, { email: "no address", picture: "javascript:alert(1)" });
    const { tokens } = await signInWith(api, "google");
    const { data } = await api.graphql("{ me { email picture } }", { token: tokens.accessToken });
    expect(data.me).toEqual({ email: null, picture: null });
  });
});

describe("logInWithIdToken", () => {
  it("takes an ID token of a native app, and finds the user of the browser's sign-in", async () => {
    const browser = await signInWith(api, "google");
    const native = await logInWithIdToken(await google.idToken());
    expect(native.tokens.userId).toBe(browser.tokens.userId);
  });

  it("makes an account for who has none", async () => {
    const { tokens } = await logInWithIdToken(await google.idToken());
    const { data } = await api.graphql("{ me { email emailVerified } }", {
      token: tokens.accessToken,
    });
    expect(data.me).toEqual({ email: google.person.email, emailVerified: true });
  });

  it("verifies with the provider's JWKS, which is fetched once for many tokens", async () => {
    await logInWithIdToken(await google.idToken());
    const before = google.requests.filter((path) => path === "/jwks").length;
    for (let i = 0; i < 5; i += 1) await logInWithIdToken(await google.idToken());
    expect(google.requests.filter((path) => path === "/jwks").length).toBe(before);
    expect(before).toBe(1);
  });

  it.each([
    ["another audience", { aud: "another-app" }],
    ["another issuer", { iss: "https://evil.example" }],
    ["an expiry in the past", { exp: Math.floor(Date.now() / 1000) - 120 }],
    ["no subject", { sub: undefined }],
    ["an empty subject", { sub: "" }],
    ["several audiences of which another is authorised", { aud: [CLIENT.id, "x"], azp: "x" }],
  ])("refuses an ID token with %s", async (_what, claims) => {
    const { tokens, error } = await logInWithIdToken(await google.idToken(claims));
    expect(tokens).toBeUndefined();
    expect(error?.code).toBe("UNAUTHENTICATED");
  });

  it("refuses another nonce than the token's", async () => {
    const { error } = await logInWithIdToken(await google.idToken(), "another");
    expect(error?.code).toBe("UNAUTHENTICATED");
    const none = await logInWithIdToken(await google.idToken({ nonce: undefined }), "");
    expect(none.error?.code).toBe("UNAUTHENTICATED");
  });

  it("refuses a token that somebody else signed, none at all, and nonsense", async () => {
    const claims = jwt.decode(await google.idToken()) as object;
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const forged = [
      jwt.sign(claims, privateKey, { algorithm: "RS256" }),
      jwt.sign(claims, CLIENT.secret, { algorithm: "HS256" }),
      jwt.sign(claims, null, { algorithm: "none" }),
      "a.b.c",
      "",
      "\0",
    ];
    for (const idToken of forged) {
      expect((await logInWithIdToken(idToken)).error?.code).toBe("UNAUTHENTICATED");
    }
  });

  it("is there for Google alone", async () => {
    for (const provider of ["GITHUB", "FACEBOOK"]) {
      const { error } = await logInWithIdToken(await google.idToken(), "a-nonce", provider);
      expect(error).toMatchObject({ code: "BAD_USER_INPUT", field: "provider" });
    }
  });
});

it("a Google that is down makes logInWithIdToken UNAVAILABLE, and nobody's fault", async () => {
  const down = await startGoogle();
  const other = await startTestApi({ environment: down.environment });
  const idToken = await down.idToken();
  await down.stop();
  const { errors } = await other.graphql(
    `mutation { logInWithIdToken(input: {provider: GOOGLE, idToken: "${idToken}", nonce: "a-nonce"}) { tokens { userId } } }`,
  );
  expect(errors[0]?.extensions.code).toBe("UNAVAILABLE");
  await other.stop();
});
