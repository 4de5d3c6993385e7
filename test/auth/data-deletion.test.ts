import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";
import { RETURN_URL, signInWith } from "../support/browser.ts";
import { type FakeProvider, signedRequest, startFacebook } from "../support/providers.ts";

let api: TestApi;
let facebook: FakeProvider;

beforeAll(async () => {
  facebook = await startFacebook();
  api = await startTestApi({
    environment: { ...facebook.environment, ALLOWED_REDIRECTS: RETURN_URL },
  });
});
afterAll(async () => {
  await api.stop();
  await facebook.stop();
});

let people = 0;
beforeEach(() => {
  people += 1;
  facebook.person = { id: `55${people}`, first_name: "Mark" };
});

function post(body: Record<string, string>): Promise<Response> {
  return fetch(`${api.url}/auth/facebook/data-deletion`, {
    method: "POST",
    body: new URLSearchParams(body),
  });
}

async function deletionOf(userId: unknown) {
  const response = await post({ signed_request: signedRequest({ user_id: userId }) });
  expect(response.status).toBe(200);
  return (await response.json()) as { url: string; confirmation_code: string };
}

describe("Facebook's data-deletion callback", () => {
  it("closes the account of who has no other way in, and says so at the URL it gives", async () => {
    const { tokens } = await signInWith(api, "facebook");
    const { url, confirmation_code } = await deletionOf(facebook.person.id);
    expect(url).toBe(`http://localhost:5678/auth/facebook/data-deletion/${confirmation_code}`);
    expect((await api.graphql("{ me { id } }", { token: tokens.accessToken })).status).toBe(401);
    const { rows } = await api.database.owner.query(
      "select deleted_at, first_name from app_public.users where id = $1",
      [tokens.userId],
    );
    expect(rows[0]).toEqual({ deleted_at: expect.any(Date), first_name: "Deleted" });
    const status = await fetch(url.replace("http://localhost:5678", api.url));
    expect(await status.text()).toContain("was deleted at");
    const unknown = await fetch(`${api.url}/auth/facebook/data-deletion/x`);
    expect(unknown.status).toBe(404);
  });

  it("takes only the identity of who can log in otherwise", async () => {
    const account = await api.signUp();
    await signInWith(api, "facebook", { token: account.token });
    await deletionOf(facebook.person.id);
    const { data } = await api.graphql("{ me { id } oauth2Credentials { nodes { id } } }", {
      token: account.token,
    });
    expect(data).toEqual({ me: { id: account.userId }, oauth2Credentials: { nodes: [] } });
  });

  it("confirms a deletion of somebody of whom nothing is kept", async () => {
    expect((await deletionOf("1234567890")).confirmation_code).toMatch(/^[\w-]{43}$/);
  });

  it("refuses what Facebook has not signed for this app", async () => {
    const { tokens } = await signInWith(api, "facebook");
    const payload = { user_id: facebook.person.id };
    const good = signedRequest(payload);
    for (const signed_request of [
      signedRequest(payload, "another app's secret"),
      signedRequest({ ...payload, algorithm: "none" }),
      `.${good.split(".")[1]}`,
      `${good}.x`,
      good.slice(0, -1),
      "",
      "nonsense",
    ]) {
      const response = await post({ signed_request });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({
        errors: [{ extensions: { code: "BAD_USER_INPUT", field: "signed_request" } }],
      });
    }
    expect((await post({})).status).toBe(400);
    expect((await api.graphql("{ me { id } }", { token: tokens.accessToken })).status).toBe(200);
  });
});
