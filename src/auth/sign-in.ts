import { ApiError } from "../errors.ts";
import type { AccessTokenClaims, Identity } from "./access-tokens.ts";
import {
  type AccountOptions,
  type Client,
  inSql,
  one,
  rateLimited,
  type SessionOptions,
  type TokenResponse,
  tokenResponse,
} from "./accounts.ts";
import { hashOpaqueToken, newOpaqueToken } from "./opaque-tokens.ts";
import { type IdentitySeal, sealIdentity } from "./provider-tokens.ts";
import { codeChallenge } from "./providers/provider.ts";
import type { Providers } from "./providers/providers.ts";

/** From what a provider said to a session; with a bearer token the identity is linked to its user. */
export interface SignIn {
  exchangeCode(
    input: { code: string; codeVerifier: string },
    identity: Identity,
    client: Client,
  ): Promise<TokenResponse>;
  logInWithIdToken(
    input: { provider: string; idToken: string; nonce: string },
    identity: Identity,
    client: Client,
  ): Promise<TokenResponse>;
}

type Outcome =
  | "known"
  | "linked"
  | "created"
  | "taken"
  | "foreign"
  | "unverified"
  | "invalid"
  | null;

interface Answer {
  retry_after: number;
  outcome: Outcome;
  claims: AccessTokenClaims | null;
}

/** The functions of migrations 000023 and 000024. */
export function createSignIn(
  options: AccountOptions & SessionOptions & { providers: Providers; identitySeal: IdentitySeal },
): SignIn {
  const { pool, issuer, audience, confirmation, rateLimitFactor, providers, identitySeal } =
    options;

  function answer({ retry_after, outcome, claims }: Answer, refreshToken: string): TokenResponse {
    if (retry_after > 0) throw rateLimited(retry_after);
    if (claims) return tokenResponse(options.accessTokens, claims, refreshToken);
    throw refusal(outcome);
  }

  return {
    async exchangeCode({ code, codeVerifier }, identity, client) {
      if (!/^[\w.~-]{43,128}$/.test(codeVerifier)) {
        throw new ApiError(
          "BAD_USER_INPUT",
          "A code verifier has 43 to 128 characters (RFC 7636).",
          {
            field: "codeVerifier",
          },
        );
      }
      const refreshToken = newOpaqueToken();
      const row = await one<Answer>(
        pool,
        `select retry_after, outcome, claims
         from app_private.exchange_sign_in_code($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        [
          hashOpaqueToken(code),
          codeChallenge(codeVerifier),
          identity.userId,
          { ...inSql(client), session_id: identity.sessionId },
          hashOpaqueToken(refreshToken),
          confirmation,
          issuer,
          audience,
          rateLimitFactor,
        ],
      );
      return answer(row, refreshToken);
    },

    async logInWithIdToken({ provider, idToken, nonce }, identity, client) {
      const verifier = provider === "google" ? providers.google : undefined;
      if (!verifier) {
        throw new ApiError(
          "BAD_USER_INPUT",
          "There is no log-in with ID tokens of this provider.",
          {
            field: "provider",
          },
        );
      }
      const { wait } = await one<{ wait: number }>(
        pool,
        "select app_private.begin_sign_in($1, $2) as wait",
        [inSql(client), rateLimitFactor],
      );
      if (wait > 0) throw rateLimited(wait);
      const person = await verifier.verifyIdToken(idToken, nonce);
      const refreshToken = newOpaqueToken();
      const row = await one<Answer>(
        pool,
        `select 0 as retry_after, outcome, claims
         from app_private.sign_in_with_identity($1, $2, $3, $4, $5, $6, $7)`,
        [
          sealIdentity(person, identitySeal),
          identity.userId,
          { ...inSql(client), session_id: identity.sessionId },
          hashOpaqueToken(refreshToken),
          confirmation,
          issuer,
          audience,
        ],
      );
      return answer(row, refreshToken);
    },
  };
}

function refusal(outcome: Outcome): ApiError {
  switch (outcome) {
    case "taken":
      return new ApiError("CONFLICT", "There is an account with this e-mail address already.", {
        hint: "Log in to it, then sign in with the provider again: that links the two.",
      });
    case "foreign":
      return new ApiError("CONFLICT", "This identity belongs to another user.", {
        hint: "Log out before you sign in with it.",
      });
    case "unverified":
      return new ApiError("FORBIDDEN", "This address has not been verified yet.", {
        hint: "Follow the link in the mail, then sign in again.",
      });
    default:
      return new ApiError("BAD_USER_INPUT", "This code is not valid any more.", {
        field: "code",
        hint: "Begin the sign-in again.",
      });
  }
}
