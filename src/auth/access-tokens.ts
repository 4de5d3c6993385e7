import jwt from "jsonwebtoken";
import { LRUCache } from "lru-cache";
import type { DatabaseClock } from "../database/clock.ts";
import type { RequestSettings } from "../database/request-settings.ts";
import { ApiError } from "../errors.ts";
import { currentRequest } from "../request-scope.ts";
import type { JwtKeys } from "./keys.ts";

/** What SQL composes (app_private.access_token_claims) and Node signs. */
export interface AccessTokenClaims {
  iss: string;
  aud: string;
  iat: number;
  exp: number;
  sub: string;
  role: "howdah_user" | "howdah_operator";
  session_id: number;
  user_id: number;
}

/** Who sends a request; its settings go to PostgreSQL with each transaction. */
export interface Identity {
  userId: number | undefined;
  sessionId: number | undefined;
  settings: RequestSettings;
  /** When the token ends, seconds since 1970; undefined for nobody. */
  expiresAt: number | undefined;
}

export interface AccessTokens {
  sign(claims: AccessTokenClaims): string;
  /**
   * Turns an Authorization header into an identity: none at all is nobody, and anything else than
   * a good bearer token is an error, never nobody. Costs no database connection.
   * @throws {ApiError} UNAUTHENTICATED
   */
  authenticate(authorization: unknown): Identity;
  /** Milliseconds until the token of this identity ends; undefined for nobody. */
  remaining(identity: Identity): number | undefined;
}

/** Between this process and PostgreSQL, by whose clock tokens begin and end: what is forgiven, seconds. */
const CLOCK_TOLERANCE = 5;
const REMEMBERED_TOKENS = 10_000;
const MAX_TOKEN_LENGTH = 4096;

export function createAccessTokens(options: {
  keys: JwtKeys;
  issuer: string;
  audience: string;
  clock: Pick<DatabaseClock, "now">;
}): AccessTokens {
  const { keys, issuer, audience, clock } = options;
  const verified = new LRUCache<string, AccessTokenClaims>({ max: REMEMBERED_TOKENS });

  function verify(token: string): AccessTokenClaims {
    const known = verified.get(token);
    if (known) {
      if (known.exp + CLOCK_TOLERANCE > clock.now() / 1000) return known;
      verified.delete(token);
      throw unauthenticated("This access token has expired.");
    }
    const kid = jwt.decode(token, { complete: true })?.header.kid;
    const key = typeof kid === "string" ? keys.publicKeys.get(kid) : undefined;
    if (!key) throw unauthenticated("This access token was not issued here.");
    const claims = jwt.verify(token, key, {
      algorithms: ["ES256"],
      issuer,
      audience,
      clockTimestamp: Math.floor(clock.now() / 1000),
      clockTolerance: CLOCK_TOLERANCE,
    });
    if (!isAccessTokenClaims(claims)) throw unauthenticated("This is no access token of Howdah.");
    verified.set(token, claims);
    return claims;
  }

  return {
    sign(claims) {
      const request = currentRequest();
      if (request) request.tokensFor = claims.user_id;
      return jwt.sign(claims, keys.privateKey, { algorithm: "ES256", keyid: keys.kid });
    },
    authenticate(authorization) {
      if (authorization === undefined) return nobody();
      const token = /^Bearer ([\w.-]+)$/i.exec(String(authorization))?.[1];
      if (token === undefined || token.length > MAX_TOKEN_LENGTH) {
        throw unauthenticated(
          "The Authorization header must be: Bearer, a blank, an access token.",
        );
      }
      try {
        return identityOf(verify(token));
      } catch (error) {
        if (error instanceof ApiError) throw error;
        const expired = error instanceof jwt.TokenExpiredError;
        throw unauthenticated(
          expired ? "This access token has expired." : "This access token is not valid.",
        );
      }
    },
    remaining: ({ expiresAt }) =>
      expiresAt === undefined ? undefined : expiresAt * 1000 - clock.now(),
  };
}

function identityOf(claims: AccessTokenClaims): Identity {
  return {
    userId: claims.user_id,
    sessionId: claims.session_id,
    expiresAt: claims.exp,
    // A new object each time: what one request knows must never be another's.
    settings: {
      role: claims.role,
      "jwt.claims.user_id": String(claims.user_id),
      "jwt.claims.session_id": String(claims.session_id),
    },
  };
}

/** Claims are set to nothing, not left out: a pooled connection must not keep anybody's. */
function nobody(): Identity {
  return {
    userId: undefined,
    sessionId: undefined,
    expiresAt: undefined,
    settings: {
      role: "howdah_anonymous",
      "jwt.claims.user_id": "",
      "jwt.claims.session_id": "",
    },
  };
}

function isAccessTokenClaims(claims: unknown): claims is AccessTokenClaims {
  const c = claims as Partial<AccessTokenClaims> | null;
  return (
    typeof c === "object" &&
    c !== null &&
    typeof c.exp === "number" &&
    (c.role === "howdah_user" || c.role === "howdah_operator") &&
    isId(c.session_id) &&
    isId(c.user_id) &&
    c.sub === String(c.user_id)
  );
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 31;
}

function unauthenticated(message: string): ApiError {
  return new ApiError("UNAUTHENTICATED", message, {
    hint: "Refresh it, or log in again: ask for that without an Authorization header.",
  });
}
