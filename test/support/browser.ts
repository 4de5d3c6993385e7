import { createHash, randomBytes } from "node:crypto";
import type { TestApi } from "./api.ts";
import { learnSecret } from "./secrets.ts";

/** The client's own page or app link that is allowed as a return URL in the tests. */
export const RETURN_URL = "https://app.example.com/signed-in";

/** A browser as far as sign-in needs one: keeps cookies, follows redirects until it leaves for the app. */
export interface Browser {
  get(url: string): Promise<Response>;
  /** Follows redirects from a URL to the app's return URL. */
  toApp(url: string): Promise<URL>;
}

/** @param publicUrl where the API believes to be: a reverse proxy would lead from there to it. */
export function openBrowser(api: TestApi, publicUrl = "http://localhost:5678"): Browser {
  const cookies = new Map<string, string>();
  const browser: Browser = {
    async get(url) {
      const ours = url.startsWith(api.url);
      const cookie = ours ? [...cookies].map((pair) => pair.join("=")).join("; ") : "";
      const response = await fetch(url, { redirect: "manual", headers: { cookie } });
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        if (name !== undefined && value !== undefined) cookies.set(name, value);
      }
      return response;
    },
    async toApp(url) {
      let next = url;
      for (let steps = 0; steps < 5; steps += 1) {
        if (next.startsWith(RETURN_URL)) return new URL(next);
        const response = await browser.get(next);
        const location = response.headers.get("location");
        if (location === null) throw new Error(`${response.status}: ${await response.text()}`);
        next = new URL(location, next).href.replace(publicUrl, api.url);
      }
      throw new Error("The redirects do not end.");
    },
  };
  return browser;
}

/** What a client keeps while its user is away. */
export function newVerifier(): { codeVerifier: string; codeChallenge: string } {
  const codeVerifier = randomBytes(32).toString("base64url");
  const codeChallenge = createHash("sha256").update(codeVerifier).digest("base64url");
  learnSecret(codeVerifier);
  return { codeVerifier, codeChallenge };
}

export function startUrl(
  api: TestApi,
  provider: string,
  query: Record<string, string | undefined>,
): string {
  const url = new URL(`${api.url}/auth/${provider}`);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, value);
  }
  return url.href;
}

/** The whole of a sign-in: away to the provider, back with a code, and the code for tokens. */
export async function signInWith(
  api: TestApi,
  provider: string,
  options: { token?: string; browser?: Browser } = {},
) {
  const { codeVerifier, codeChallenge } = newVerifier();
  const back = await (options.browser ?? openBrowser(api)).toApp(
    startUrl(api, provider, {
      redirect_uri: RETURN_URL,
      code_challenge: codeChallenge,
      state: "the client's own",
    }),
  );
  const code = back.searchParams.get("code");
  if (code === null) throw new Error(`No code: ${back.search}`);
  learnSecret(code);
  const answer = await exchange(api, code, codeVerifier, options.token);
  return { ...answer, back, code, codeVerifier };
}

export async function exchange(api: TestApi, code: string, codeVerifier: string, token?: string) {
  const { data, errors } = await api.graphql(
    `mutation ($input: ExchangeSignInCodeInput!) {
      exchangeSignInCode(input: $input) { tokens { accessToken refreshToken tokenType userId expiresIn } }
    }`,
    { token, variables: { input: { code, codeVerifier } } },
  );
  return { tokens: data?.exchangeSignInCode?.tokens, errors };
}
