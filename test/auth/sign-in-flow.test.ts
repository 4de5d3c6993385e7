import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { startTestApi, type TestApi } from "../support/api.ts";
import {
  exchange,
  newVerifier,
  openBrowser,
  RETURN_URL,
  signInWith,
  startUrl,
} from "../support/browser.ts";
import { type FakeProvider, startFacebook, startGitHub } from "../support/providers.ts";

const OTHER_RETURN_URL = "com.example.app:/signed-in?from=howdah";
let api: TestApi;
let github: FakeProvider;
let facebook: FakeProvider;

beforeAll(async () => {
  [github, facebook] = await Promise.all([startGitHub(), startFacebook()]);
  api = await startTestApi({
    environment: {
      ...github.environment,
      ...facebook.environment,
      ALLOWED_REDIRECTS: `${RETURN_URL},${OTHER_RETURN_URL}`,
    },
  });
});
afterAll(async () => {
  await api.stop();
  await github.stop();
  await facebook.stop();
});
beforeEach(() => {
  github.person = { user: { id: 7, login: "octo" }, emails: [] };
  facebook.person = { id: "8", first_name: "Mark" };
});
afterEach(() => {
  vi.useRealTimers();
  github.spoil = undefined;
  github.denies = false;
});

function start(query: Record<string, string | undefined> = {}, provider = "github"): string {
  const { codeChallenge } = newVerifier();
  return startUrl(api, provider, {
    redirect_uri: RETURN_URL,
    code_challenge: codeChallenge,
    ...query,
  });
}

/** Up to the provider's answer: the URL of our callback, not yet called. */
async function callbackOf(browser = openBrowser(api), provider = "github"): Promise<string> {
  const away = await browser.get(start({}, provider));
  const back = await browser.get(away.headers.get("location") as string);
  return (back.headers.get("location") as string).replace("http://localhost:5678", api.url);
}

describe("the state", () => {
  it("is single-use", async () => {
    const browser = openBrowser(api);
    const callback = await callbackOf(browser);
    expect((await browser.get(callback)).status).toBe(303);
    const again = await browser.get(callback);
    expect(again.status).toBe(400);
    expect(await again.json()).toMatchObject({
      errors: [{ extensions: { code: "BAD_USER_INPUT", field: "state" } }],
    });
    // Another spelling of the same bytes is the same state.
    expect((await browser.get(`${callback}=`)).status).toBe(400);
  });

  it("is bound to the browser that began", async () => {
    const callback = await callbackOf();
    expect((await openBrowser(api).get(callback)).status).toBe(400);
    const another = openBrowser(api);
    await another.get(start());
    expect((await another.get(callback)).status).toBe(400);
  });

  it("lasts for ten minutes", async () => {
    const browser = openBrowser(api);
    const callback = await callbackOf(browser);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 600_001 });
    expect((await browser.get(callback)).status).toBe(400);
    vi.setSystemTime(Date.now() - 2000);
    expect((await browser.get(callback)).status).toBe(303);
  });

  it("of one provider is refused at another's callback (mix-up)", async () => {
    const browser = openBrowser(api);
    const callback = await callbackOf(browser);
    expect((await browser.get(callback.replace("/auth/github/", "/auth/facebook/"))).status).toBe(
      400,
    );
  });

  it("that is missing, forged or changed is refused", async () => {
    const browser = openBrowser(api);
    const callback = new URL(await callbackOf(browser));
    const state = callback.searchParams.get("state") as string;
    const flipped = state.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    for (const bad of ["", "x", "\0", flipped, state.slice(0, -8), "A".repeat(9000)]) {
      callback.searchParams.set("state", bad);
      expect((await browser.get(callback.href)).status).toBe(400);
    }
  });

  it("of two tabs of one browser does not get in the other's way", async () => {
    const browser = openBrowser(api);
    const callbacks = [await callbackOf(browser), await callbackOf(browser)];
    for (const callback of callbacks) expect((await browser.get(callback)).status).toBe(303);
  });

  it("leaves nothing in the database for who never comes back", async () => {
    const count = "select count(*)::int as n from app_private.used_sign_in_states";
    const before = (await api.database.owner.query(count)).rows[0].n;
    await callbackOf();
    expect((await api.database.owner.query(count)).rows[0].n).toBe(before);
  });
});

describe("the return URL", () => {
  it.each([
    ["another host", "https://evil.example/signed-in"],
    ["a path more", `${RETURN_URL}/more`],
    ["a suffix of the host", "https://app.example.com.evil.example/signed-in"],
    ["user-info", "https://app.example.com@evil.example/signed-in"],
    ["user-info before the right host", "https://user@app.example.com/signed-in"],
    ["//evil", "//evil.example/signed-in"],
    ["\\evil", "\\\\evil.example\\signed-in"],
    ["a backslash for a slash", "https://app.example.com\\signed-in"],
    ["javascript:", "javascript:alert(1)//https://app.example.com/signed-in"],
    ["CRLF", `${RETURN_URL}\r\nSet-Cookie: a=b`],
    ["another case", RETURN_URL.toUpperCase()],
    ["a query", `${RETURN_URL}?next=https://evil.example`],
    ["a fragment", `${RETURN_URL}#x`],
    ["nothing", ""],
  ])("is exactly on the allow-list: %s is refused", async (_what, redirectUri) => {
    const response = await fetch(start({ redirect_uri: redirectUri }), { redirect: "manual" });
    expect(response.status).toBe(400);
    expect(response.headers.get("location")).toBeNull();
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: "BAD_USER_INPUT", field: "redirect_uri" } }],
    });
  });

  it("given twice, or not at all, is refused", async () => {
    const twice = `${start()}&redirect_uri=https://evil.example`;
    expect((await fetch(twice, { redirect: "manual" })).status).toBe(400);
    const none = await fetch(start({ redirect_uri: undefined }), { redirect: "manual" });
    expect(none.status).toBe(400);
  });

  it("may be an app's own scheme, and keeps its query", async () => {
    const browser = openBrowser(api);
    const away = await browser.get(start({ redirect_uri: OTHER_RETURN_URL }));
    const back = await browser.get(away.headers.get("location") as string);
    const end = await browser.get(
      (back.headers.get("location") as string).replace("http://localhost:5678", api.url),
    );
    expect(end.headers.get("location")).toMatch(
      /^com\.example\.app:\/signed-in\?from=howdah&code=[\w-]{43}$/,
    );
  });

  it("carries a code and the client's state, and no token", async () => {
    const { back, tokens } = await signInWith(api, "github");
    expect([...back.searchParams.keys()].sort()).toEqual(["code", "state"]);
    expect(back.searchParams.get("state")).toBe("the client's own");
    expect(back.href).not.toContain(tokens.accessToken);
    expect(back.href).not.toContain(tokens.refreshToken);
  });
});

describe("the code", () => {
  async function newCode() {
    const { codeVerifier, codeChallenge } = newVerifier();
    const back = await openBrowser(api).toApp(start({ code_challenge: codeChallenge }));
    return { code: back.searchParams.get("code") as string, codeVerifier };
  }
  const REFUSED = [{ extensions: { code: "BAD_USER_INPUT", field: "code" } }];

  it("is single-use", async () => {
    const { code, codeVerifier } = await newCode();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => exchange(api, code, codeVerifier)),
    );
    expect(answers.filter(({ tokens }) => tokens)).toHaveLength(1);
    expect((await exchange(api, code, codeVerifier)).errors).toMatchObject(REFUSED);
  });

  it("lasts for 60 seconds", async () => {
    const { code, codeVerifier } = await newCode();
    await api.database.owner.query(
      "update app_private.sign_in_codes set expires_at = expires_at - interval '60 seconds'",
    );
    expect((await exchange(api, code, codeVerifier)).errors).toMatchObject(REFUSED);
  });

  it("is bound to the client's PKCE challenge, and a wrong verifier uses it up", async () => {
    const { code, codeVerifier } = await newCode();
    const stolen = await exchange(api, code, newVerifier().codeVerifier);
    expect(stolen.errors).toMatchObject(REFUSED);
    expect((await exchange(api, code, codeVerifier)).errors).toMatchObject(REFUSED);
  });

  it("that is empty, malformed or unknown is refused", async () => {
    const { codeVerifier } = newVerifier();
    for (const code of ["", "x", "\0", "x".repeat(5000)]) {
      expect((await exchange(api, code, codeVerifier)).errors).toMatchObject(REFUSED);
    }
    for (const verifier of ["", "short", "x".repeat(129), `${"x".repeat(42)}\0`]) {
      expect((await exchange(api, "x", verifier)).errors[0]?.extensions).toMatchObject({
        code: "BAD_USER_INPUT",
        field: "codeVerifier",
      });
    }
  });

  it("needs a challenge that is S256", async () => {
    for (const query of [
      { code_challenge: undefined },
      { code_challenge: "short" },
      { code_challenge_method: "plain" },
    ]) {
      expect((await fetch(start(query), { redirect: "manual" })).status).toBe(400);
    }
  });
});

describe("a provider that", () => {
  async function errorOf(): Promise<string | null> {
    const back = await openBrowser(api).toApp(start({ state: "mine" }));
    expect(back.searchParams.get("state")).toBe("mine");
    expect(back.searchParams.get("code")).toBeNull();
    return back.searchParams.get("error");
  }

  it("answers HTML is a clean error", async () => {
    github.spoil = (response) =>
      response.writeHead(200, { "content-type": "text/html" }).end("<h1>Maintenance</h1>");
    expect(await errorOf()).toBe("temporarily_unavailable");
  });

  it("answers with 502 is a clean error", async () => {
    github.spoil = (response) => response.writeHead(502).end("Bad gateway");
    expect(await errorOf()).toBe("temporarily_unavailable");
  });

  it("hangs up is a clean error", async () => {
    github.spoil = (response) => response.destroy();
    expect(await errorOf()).toBe("temporarily_unavailable");
  });

  it("is slow is a clean error within 10 s", { timeout: 15_000 }, async () => {
    github.spoil = (response) => {
      // Headers and a byte now and then: only a limit on the whole ends this.
      response.writeHead(200, { "content-type": "application/json" });
      const drip = setInterval(() => response.write(" "), 500);
      response.on("close", () => clearInterval(drip));
    };
    const started = performance.now();
    expect(await errorOf()).toBe("temporarily_unavailable");
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it("is told no by the person says so", async () => {
    github.denies = true;
    expect(await errorOf()).toBe("access_denied");
  });

  it("is off or unknown is not found", async () => {
    for (const name of ["google", "twitter", "__proto__", "constructor"]) {
      // Whatever else is wrong with the call: that is what has to be mended first.
      expect((await fetch(`${api.url}/auth/${name}`)).status).toBe(404);
      expect((await fetch(start({}, name), { redirect: "manual" })).status).toBe(404);
      expect((await fetch(`${api.url}/auth/${name}/callback?state=x`)).status).toBe(404);
    }
  });
});
