import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";
import { RETURN_URL, signInWith } from "../support/browser.ts";
import { type FakeProvider, startFacebook, startGitHub } from "../support/providers.ts";

let api: TestApi;
let github: FakeProvider;
let facebook: FakeProvider;

beforeAll(async () => {
  [github, facebook] = await Promise.all([startGitHub(), startFacebook()]);
  api = await startTestApi({
    environment: {
      ...github.environment,
      ...facebook.environment,
      ALLOWED_REDIRECTS: RETURN_URL,
    },
  });
});
afterAll(async () => {
  await api.stop();
  await github.stop();
  await facebook.stop();
});

let people = 1000;
beforeEach(() => {
  people += 1;
  github.person = {
    user: { id: people, login: `octo${people}`, name: "Mona Lisa Octocat", avatar_url: null },
    emails: [
      { email: `other${people}@hub.example`, primary: false, verified: true },
      { email: `mona${people}@hub.example`, primary: true, verified: true },
    ],
  };
  facebook.person = {
    id: String(people),
    first_name: "Mark",
    last_name: "Elliot",
    email: `mark${people}@book.example`,
    picture: { data: { url: "https://pictures.example/mark.png" } },
  };
});

async function me(token: string) {
  const { data } = await api.graphql(
    "{ me { id firstName lastName email emailVerified picture oauth2Credentials { nodes { provider email } } } }",
    { token },
  );
  return data.me;
}

describe("sign-in with GitHub", () => {
  it("goes whole from the browser's redirect to tokens", async () => {
    const { tokens, errors } = await signInWith(api, "github");
    expect(errors).toEqual([]);
    expect(await me(tokens.accessToken)).toMatchObject({
      firstName: "Mona",
      lastName: "Lisa Octocat",
      email: `mona${people}@hub.example`,
      emailVerified: true,
      oauth2Credentials: { nodes: [{ provider: "GITHUB" }] },
    });
  });

  it("takes only the primary verified address of /user/emails", async () => {
    const { emails } = github.person as { emails: { verified: boolean }[] };
    (emails[1] as { verified: boolean }).verified = false;
    const { tokens } = await signInWith(api, "github");
    expect(await me(tokens.accessToken)).toMatchObject({ email: null, emailVerified: false });
  });

  it("takes the login for a name where there is none", async () => {
    (github.person.user as { name: null }).name = null;
    const { tokens } = await signInWith(api, "github");
    expect((await me(tokens.accessToken)).firstName).toBe(`octo${people}`);
  });
});

describe("sign-in with Facebook", () => {
  it("goes whole from the browser's redirect to tokens, with appsecret_proof", async () => {
    const { tokens, errors } = await signInWith(api, "facebook");
    expect(errors).toEqual([]);
    expect(await me(tokens.accessToken)).toMatchObject({
      firstName: "Mark",
      lastName: "Elliot",
      picture: "https://pictures.example/mark.png",
      oauth2Credentials: { nodes: [{ provider: "FACEBOOK" }] },
    });
    expect(facebook.requests).toContain("/me");
  });

  it("counts its address as unverified, and proves it", async () => {
    const { tokens } = await signInWith(api, "facebook");
    expect(await me(tokens.accessToken)).toMatchObject({
      email: `mark${people}@book.example`,
      emailVerified: false,
    });
    const { rows } = await api.database.owner.query(
      "select target from app_private.user_tokens where user_id = $1 and purpose = 'email_verification'",
      [tokens.userId],
    );
    expect(rows).toEqual([{ target: `mark${people}@book.example` }]);
  });

  it("works where its address is absent", async () => {
    delete facebook.person.email;
    const { tokens } = await signInWith(api, "facebook");
    expect(await me(tokens.accessToken)).toMatchObject({ email: null, firstName: "Mark" });
    expect((await signInWith(api, "facebook")).tokens.userId).toBe(tokens.userId);
  });
});
