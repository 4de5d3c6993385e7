import { timingSafeEqual } from "node:crypto";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { z } from "zod";
import type { DatabaseClock } from "../database/clock.ts";
import { ApiError } from "../errors.ts";
import { type Client, inSql, one, rateLimited } from "./accounts.ts";
import { hashOpaqueToken, newOpaqueToken } from "./opaque-tokens.ts";
import { type IdentitySeal, sealIdentity } from "./provider-tokens.ts";
import {
  PROVIDER_PATIENCE,
  type Provider,
  ProviderError,
  type SignInChecks,
} from "./providers/provider.ts";
import type { Providers } from "./providers/providers.ts";
import type { Keyring } from "./sealing.ts";

/**
 * Sign-in with a provider, as the browser goes through it: away with start(), back with finish(),
 * and on to the client's return URL with a code that the client exchanges.
 *
 * What has to come back unchanged is sealed into the state parameter, so that nothing is kept for
 * those who never come back; a cookie ties it to the browser, and the database lets it in once.
 */
export interface SignInFlow {
  /**
   * @param query of `GET /auth/:provider`.
   * @param browser the cookie's value.
   * @throws {ApiError} where there is nowhere safe to return to.
   */
  start(providerName: string, query: unknown, browser: string): Promise<URL>;
  /** @throws {ApiError} where the state does not say where to return to. */
  finish(
    providerName: string,
    query: URLSearchParams,
    browser: string | undefined,
    client: Client,
  ): Promise<URL>;
}

/** The query of `GET /auth/:provider`; the names of RFC 6749 and RFC 7636. */
const startRequestSchema = z.object({
  redirect_uri: z.string("must be one of ALLOWED_REDIRECTS"),
  code_challenge: z
    .string("must be the S256 challenge of your code verifier")
    .regex(/^[\w-]{43}$/, "must be the S256 challenge of your code verifier"),
  code_challenge_method: z.literal("S256", "must be S256").default("S256"),
  /** The client's own, given back with the code. */
  state: z.string().max(500, "must have at most 500 characters").optional(),
});

const stateSchema = z.object({
  provider: z.string(),
  browserHash: z.string(),
  nonce: z.string(),
  codeVerifier: z.string(),
  redirectUri: z.string(),
  codeChallenge: z.string(),
  clientState: z.string().optional(),
  /** Milliseconds since 1970. */
  expiresAt: z.number(),
});
type State = z.infer<typeof stateSchema>;

/** How long somebody may stay with the provider, milliseconds. */
export const STATE_LIFETIME = 600_000;

export interface SignInFlowOptions {
  pool: Pool;
  clock: DatabaseClock;
  providers: Providers;
  /** Exact. */
  allowedRedirects: readonly string[];
  publicUrl: string;
  /** Seals states. */
  keyring: Keyring;
  identitySeal: IdentitySeal;
  rateLimitFactor: number;
  logger: Logger;
}

export function createSignInFlow(options: SignInFlowOptions): SignInFlow {
  const { pool, clock, providers, allowedRedirects, publicUrl, keyring, identitySeal, logger } =
    options;

  function providerNamed(name: string): Provider {
    const provider = providers.get(name);
    if (!provider) throw new ApiError("NOT_FOUND", "There is no sign-in with this provider.");
    return provider;
  }

  function checksOf(state: State, sealed: string): SignInChecks {
    const redirectUri = `${publicUrl}/auth/${state.provider}/callback`;
    return { redirectUri, state: sealed, nonce: state.nonce, codeVerifier: state.codeVerifier };
  }

  /** The return URL with how it ended; what the provider did is in the log, without its tokens. */
  function failed(error: unknown, provider: string, state: State): URL {
    const code = error instanceof ProviderError ? error.code : "server_error";
    const {
      name,
      message,
      code: reasonCode,
    } = ((error as Error).cause ?? error) as {
      name?: string;
      message?: string;
      code?: string;
    };
    logger.warn(
      { provider, error: code, cause: name, reason: message, code: reasonCode },
      "sign-in with a provider failed",
    );
    return returnUrl(state, { error: code });
  }

  return {
    async start(name, query, browser) {
      const provider = providerNamed(name);
      const request = readStart(query);
      if (!allowedRedirects.includes(request.redirect_uri)) {
        throw new ApiError("BAD_USER_INPUT", "This redirect_uri is not allowed.", {
          field: "redirect_uri",
          hint: "It has to be, letter by letter, one of ALLOWED_REDIRECTS.",
        });
      }
      const state: State = {
        provider: name,
        browserHash: hashOpaqueToken(browser).toString("base64url"),
        nonce: newOpaqueToken(),
        codeVerifier: newOpaqueToken(),
        redirectUri: request.redirect_uri,
        codeChallenge: request.code_challenge,
        ...(request.state === undefined ? {} : { clientState: request.state }),
        expiresAt: clock.now() + STATE_LIFETIME,
      };
      const sealed = keyring.seal(JSON.stringify(state), CONTEXT).toString("base64url");
      try {
        return await provider.authorizationUrl(
          checksOf(state, sealed),
          AbortSignal.timeout(PROVIDER_PATIENCE),
        );
      } catch (error) {
        return failed(error, name, state);
      }
    },

    async finish(name, query, browser, client) {
      const provider = providerNamed(name);
      const sealed = query.get("state") ?? "";
      const state = openState(keyring, sealed, clock.now());
      if (state?.provider !== name || !isOf(state, browser)) throw unknownState();
      const { retry_after, is_first } = await one<{ retry_after: number; is_first: boolean }>(
        pool,
        "select retry_after, is_first from app_private.use_sign_in_state($1, $2, $3)",
        [hashOpaqueToken(sealed), inSql(client), options.rateLimitFactor],
      );
      if (retry_after > 0) throw rateLimited(retry_after);
      if (!is_first) throw unknownState();

      const checks = checksOf(state, sealed);
      const callbackUrl = new URL(checks.redirectUri);
      callbackUrl.search = query.toString();
      try {
        const identity = await provider.identify(
          callbackUrl,
          checks,
          AbortSignal.timeout(PROVIDER_PATIENCE),
        );
        const code = newOpaqueToken();
        await pool.query("select app_private.store_sign_in_code($1, $2, $3)", [
          hashOpaqueToken(code),
          state.codeChallenge,
          sealIdentity(identity, identitySeal),
        ]);
        return returnUrl(state, { code });
      } catch (error) {
        return failed(error, name, state);
      }
    },
  };
}

function readStart(query: unknown): z.infer<typeof startRequestSchema> {
  const { success, data, error } = startRequestSchema.safeParse(query);
  if (success) return data;
  const [issue] = error.issues;
  const field = issue?.path.join(".") ?? "";
  throw new ApiError("BAD_USER_INPUT", `${field} ${issue?.message}.`, { field });
}

const CONTEXT = "sign-in state";

function openState(keyring: Keyring, sealed: string, now: number): State | undefined {
  const bytes = Buffer.from(sealed, "base64url");
  // Another spelling of the same bytes would count as another state.
  if (bytes.toString("base64url") !== sealed) return undefined;
  try {
    const text = keyring.open(bytes, CONTEXT);
    const state = stateSchema.parse(JSON.parse(text));
    return state.expiresAt > now ? state : undefined;
  } catch {
    return undefined;
  }
}

function isOf(state: State, browser: string | undefined): boolean {
  if (browser === undefined) return false;
  return timingSafeEqual(hashOpaqueToken(browser), Buffer.from(state.browserHash, "base64url"));
}

function unknownState(): ApiError {
  return new ApiError(
    "BAD_USER_INPUT",
    "This sign-in was not begun in this browser, took more than ten minutes, or is over.",
    { field: "state", hint: "Begin again in the app." },
  );
}

function returnUrl(state: State, answer: Record<string, string>): URL {
  const url = new URL(state.redirectUri);
  const { clientState } = state;
  const parameters = { ...answer, ...(clientState === undefined ? {} : { state: clientState }) };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url;
}
