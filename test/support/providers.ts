import { createHash, createHmac, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { OAuth2Server } from "oauth2-mock-server";

/** A stand-in for a provider outside this machine: speaks its protocol, and checks ours. */
export interface FakeProvider {
  /** Settings that turn the provider on. */
  environment: NodeJS.ProcessEnv;
  /** Who logs in at the provider next, in the provider's own words. */
  person: Record<string, unknown>;
  /** Set: what the provider does at its token endpoint instead of answering. */
  spoil: ((response: ServerResponse) => void) | undefined;
  /** Set: the person refuses, and the provider says so. */
  denies: boolean;
  /** Paths that were asked for. */
  requests: string[];
  stop(): Promise<void>;
}

export interface FakeGoogle extends FakeProvider {
  /** An ID token as a native app gets it. */
  idToken(claims?: Record<string, unknown>): Promise<string>;
}

export const CLIENT = { id: "howdah-client", secret: "a-secret-of-the-provider" };
const TOKEN = "access-token-of-the-provider";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(fake: FakeProvider, tokenPath: string, handle: Handler): Promise<string> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "", "http://localhost");
    fake.requests.push(pathname);
    if (pathname === tokenPath && fake.spoil) return fake.spoil(response);
    handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  fake.stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return `http://localhost:${(server.address() as AddressInfo).port}`;
}

function newFake(): FakeProvider {
  return {
    environment: {},
    person: {},
    spoil: undefined,
    denies: false,
    requests: [],
    stop: async () => undefined,
  };
}

/** Google: OpenID Connect by oauth2-mock-server. */
export async function startGoogle(): Promise<FakeGoogle> {
  const { issuer, service } = new OAuth2Server();
  await issuer.keys.generate("RS256");
  const fake = newFake();
  issuer.url = await serve(fake, "/token", service.requestHandler);
  fake.environment = {
    GOOGLE_CLIENT_ID: CLIENT.id,
    GOOGLE_CLIENT_SECRET: CLIENT.secret,
    GOOGLE_ISSUER_URL: issuer.url,
  };
  service.on("beforeTokenSigning", (token) => Object.assign(token.payload, fake.person));
  service.on("beforeResponse", (response, request) => {
    if (request.body.client_secret !== CLIENT.secret) response.statusCode = 401;
  });
  service.on("beforeAuthorizeRedirect", ({ url }) => {
    if (fake.denies) refuse(url);
  });
  return Object.assign(fake, {
    idToken: (claims: Record<string, unknown> = {}) =>
      issuer.buildToken({
        scopesOrTransform: (_header, payload) => {
          Object.assign(payload, { aud: CLIENT.id, nonce: "a-nonce", ...fake.person, ...claims });
        },
      }),
  });
}

/** GitHub: OAuth 2.0, /user and /user/emails; the person is {user, emails}. */
export async function startGitHub(): Promise<FakeProvider> {
  const fake = newFake();
  const codes = authorizationServer(fake);
  const url = await serve(fake, "/login/oauth/access_token", (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost");
    const { user, emails } = fake.person;
    if (pathname === "/login/oauth/authorize") return codes.authorize(searchParams, response);
    if (pathname === "/login/oauth/access_token") return codes.token(request, response, 200);
    if (request.headers.authorization !== `Bearer ${TOKEN}`) return json(response, 401, {});
    if (pathname === "/user") return json(response, 200, user);
    if (pathname === "/user/emails") return json(response, 200, emails);
    json(response, 404, {});
  });
  fake.environment = {
    GITHUB_CLIENT_ID: CLIENT.id,
    GITHUB_CLIENT_SECRET: CLIENT.secret,
    GITHUB_BASE_URL: url,
    GITHUB_API_URL: url,
  };
  return fake;
}

/** Facebook: OAuth 2.0 and the Graph API, which insists on appsecret_proof. */
export async function startFacebook(): Promise<FakeProvider> {
  const fake = newFake();
  const codes = authorizationServer(fake);
  const url = await serve(fake, "/oauth/access_token", (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost");
    if (pathname === "/dialog/oauth") return codes.authorize(searchParams, response);
    if (pathname === "/oauth/access_token") return codes.token(request, response, 400);
    const proof = createHmac("sha256", CLIENT.secret).update(TOKEN).digest("hex");
    const proven = searchParams.get("appsecret_proof") === proof;
    if (request.headers.authorization !== `Bearer ${TOKEN}` || !proven) {
      return json(response, 400, { error: { message: "Invalid appsecret_proof", code: 100 } });
    }
    if (pathname === "/me") return json(response, 200, fake.person);
    json(response, 404, {});
  });
  fake.environment = {
    FACEBOOK_CLIENT_ID: CLIENT.id,
    FACEBOOK_CLIENT_SECRET: CLIENT.secret,
    FACEBOOK_BASE_URL: url,
    FACEBOOK_GRAPH_URL: url,
  };
  return fake;
}

/** What Facebook posts to the data-deletion callback. */
export function signedRequest(payload: Record<string, unknown>, secret = CLIENT.secret): string {
  const encoded = Buffer.from(JSON.stringify({ algorithm: "HMAC-SHA256", ...payload })).toString(
    "base64url",
  );
  return `${createHmac("sha256", secret).update(encoded).digest("base64url")}.${encoded}`;
}

/** The code flow with PKCE S256: a code is good once, for the redirect_uri and the verifier. */
function authorizationServer(fake: FakeProvider) {
  const codes = new Map<string, { challenge: string; redirectUri: string }>();
  return {
    authorize(query: URLSearchParams, response: ServerResponse) {
      const back = new URL(query.get("redirect_uri") ?? "");
      const code = randomUUID();
      codes.set(code, {
        challenge: query.get("code_challenge") ?? "",
        redirectUri: query.get("redirect_uri") ?? "",
      });
      if (query.get("client_id") === CLIENT.id && query.get("code_challenge_method") === "S256") {
        back.searchParams.set("code", code);
      }
      back.searchParams.set("state", query.get("state") ?? "");
      if (fake.denies) refuse(back);
      response.writeHead(302, { location: back.href }).end();
    },
    async token(request: IncomingMessage, response: ServerResponse, refusalStatus: number) {
      const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString("utf8"));
      const code = codes.get(form.get("code") ?? "");
      codes.delete(form.get("code") ?? "");
      const challenge = createHash("sha256")
        .update(form.get("code_verifier") ?? "")
        .digest("base64url");
      const good =
        code?.challenge === challenge &&
        code.redirectUri === form.get("redirect_uri") &&
        form.get("client_secret") === CLIENT.secret;
      if (!good) return json(response, refusalStatus, { error: "bad_verification_code" });
      json(response, 200, { access_token: TOKEN, token_type: "bearer", expires_in: 3600 });
    },
  };
}

function refuse(back: URL): void {
  back.searchParams.delete("code");
  back.searchParams.set("error", "access_denied");
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
