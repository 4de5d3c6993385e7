import type { Pool } from "pg";
import { ApiError } from "../errors.ts";
import { currentRequest } from "../request-scope.ts";
import type { AccessTokenClaims, AccessTokens } from "./access-tokens.ts";
import { hashOpaqueToken, newOpaqueToken } from "./opaque-tokens.ts";
import { checkNewPassword, hashNewPassword, rehash, verifyPassword } from "./passwords.ts";
import { openSuccessor, sealSuccessor } from "./refresh-tokens.ts";

/** What signing in answers; the names of OAuth 2.0 (RFC 6749, 5.1) in camel case. */
export interface TokenResponse {
  accessToken: string;
  refreshToken: string;
  tokenType: "Bearer";
  userId: number;
  /** Seconds. */
  expiresIn: number;
}

export interface SignUpInput {
  firstName: string;
  lastName?: string | null;
  email?: string | null;
  phone?: string | null;
  timezone?: string | null;
  password: string;
  deviceInfo?: string | null;
}

export interface LogInInput {
  /** E-mail address or phone number. */
  identifier: string;
  password: string;
  deviceInfo?: string | null;
}

/** Where a request came from. */
export interface Client {
  ip: string | undefined;
  userAgent: string | undefined;
}

export interface Accounts {
  /** Null where an address has to be verified first, whether it was taken or not. */
  signUp(input: SignUpInput, client: Client): Promise<TokenResponse | null>;
  logIn(input: LogInInput, client: Client): Promise<TokenResponse>;
  refresh(refreshToken: string, client: Client): Promise<TokenResponse>;
}

export interface AccountOptions {
  pool: Pool;
  /** RATE_LIMIT_FACTOR. */
  rateLimitFactor: number;
}

/** What a session is made with. */
export interface SessionOptions {
  accessTokens: AccessTokens;
  issuer: string;
  audience: string;
  /** SIGN_UP_CONFIRMATION. */
  confirmation: boolean;
}

/**
 * What SQL cannot do of signing in: hashing, comparing, making and signing tokens. The rest are
 * functions of app_private that only the authenticator may call (migration 000006).
 */
export function createAccounts(options: AccountOptions & SessionOptions): Accounts {
  const { pool, accessTokens, issuer, audience, confirmation, rateLimitFactor } = options;
  const response = (claims: AccessTokenClaims, refreshToken: string) =>
    tokenResponse(accessTokens, claims, refreshToken);

  return {
    async signUp(input, client) {
      const { password, deviceInfo, ...person } = input;
      // Who only has to take another password has not tried anything yet.
      checkNewPassword(password);
      const { wait } = await one<{ wait: number }>(
        pool,
        "select app_private.begin_sign_up($1, $2) as wait",
        [inSql(client), rateLimitFactor],
      );
      if (wait > 0) throw rateLimited(wait);
      const passwordHash = await hashNewPassword(password);
      const refreshToken = newOpaqueToken();
      const { claims } = await oneOfRequest<{ claims: AccessTokenClaims | null }>(
        pool,
        "select app_private.sign_up($1, $2, $3, $4, $5, $6, $7) as claims",
        [
          {
            first_name: person.firstName,
            last_name: person.lastName,
            email: person.email,
            phone: person.phone,
            timezone: person.timezone,
          },
          passwordHash,
          inSql(client, deviceInfo),
          hashOpaqueToken(refreshToken),
          confirmation,
          issuer,
          audience,
        ],
      );
      return claims && response(claims, refreshToken);
    },

    async logIn(input, client) {
      const begun = await one<{
        retry_after: number;
        user_id: number | null;
        password_hash: string | null;
      }>(
        pool,
        "select retry_after, user_id, password_hash from app_private.begin_log_in($1, $2, $3)",
        [input.identifier, inSql(client, input.deviceInfo), rateLimitFactor],
      );
      if (begun.retry_after > 0) throw rateLimited(begun.retry_after);
      const matches = await verifyPassword(input.password, begun.password_hash);
      if (begun.user_id === null || begun.password_hash === null || !matches) {
        await pool.query("select app_private.fail_log_in($1, $2)", [begun.user_id, inSql(client)]);
        throw wrongCredentials(confirmation);
      }
      const refreshToken = newOpaqueToken();
      const { claims } = await one<{ claims: AccessTokenClaims | null }>(
        pool,
        "select app_private.log_in($1, $2, $3, $4, $5, $6, $7, $8, $9) as claims",
        [
          begun.user_id,
          input.identifier,
          begun.password_hash,
          await rehash(input.password, begun.password_hash),
          inSql(client, input.deviceInfo),
          hashOpaqueToken(refreshToken),
          confirmation,
          issuer,
          audience,
        ],
      ).catch((error: { code?: string }) => {
        // Not verified yet: a difference here would tell that the address was not taken.
        if (error.code === "HWFBD") throw wrongCredentials(confirmation);
        throw error;
      });
      if (!claims) throw wrongCredentials(confirmation);
      return response(claims, refreshToken);
    },

    async refresh(refreshToken, client) {
      const successor = newOpaqueToken();
      const { outcome, current_sealed, claims, retry_after } = await one<{
        outcome: "rotated" | "repeated" | "reused" | "revoked" | "expired" | "unknown" | "limited";
        current_sealed: Buffer | null;
        claims: AccessTokenClaims | null;
        retry_after: number;
      }>(
        pool,
        `select outcome, current_sealed, claims, retry_after
         from app_private.refresh_session($1, $2, $3, $4, $5, $6, $7)`,
        [
          hashOpaqueToken(refreshToken),
          hashOpaqueToken(successor),
          sealSuccessor(successor, refreshToken),
          issuer,
          audience,
          inSql(client),
          rateLimitFactor,
        ],
      );
      if (outcome === "rotated" && claims) return response(claims, successor);
      if (outcome === "repeated" && claims && current_sealed) {
        return response(claims, openSuccessor(current_sealed, refreshToken));
      }
      if (outcome === "limited") throw rateLimited(retry_after);
      if (outcome === "reused" || outcome === "revoked") {
        throw new ApiError("SESSION_REVOKED", "This session has ended.", { hint: "Log in again." });
      }
      throw new ApiError("UNAUTHENTICATED", "This refresh token is not valid.", {
        hint: "Log in again.",
      });
    },
  };
}

export function tokenResponse(
  accessTokens: AccessTokens,
  claims: AccessTokenClaims,
  refreshToken: string,
): TokenResponse {
  return {
    accessToken: accessTokens.sign(claims),
    refreshToken,
    tokenType: "Bearer",
    userId: claims.user_id,
    expiresIn: claims.exp - claims.iat,
  };
}

/** A client as the functions of app_private take it. */
export function inSql(client: Client, deviceInfo?: string | null) {
  return { ip: client.ip, user_agent: client.userAgent, device_info: deviceInfo };
}

/** @param seconds until the next attempt is let in. */
export function rateLimited(seconds: number): ApiError {
  return new ApiError("RATE_LIMITED", `Too many attempts. Try again in ${seconds} seconds.`, {
    retryAfter: seconds,
  });
}

/** The one row that a function answers with. */
export async function one<T extends object>(
  pool: Pool,
  text: string,
  values: unknown[],
): Promise<T> {
  const { rows } = await pool.query<T>(text, values);
  const [row] = rows;
  if (row === undefined) throw new Error("A function that answers with one row gave none.");
  return row;
}

/**
 * The same for `select app_private.f(…) as x` that queues jobs: they are told the id of the request, by
 * a setting of this one statement's transaction.
 */
export function oneOfRequest<T extends object>(
  pool: Pool,
  text: string,
  values: unknown[],
): Promise<T> {
  const request = currentRequest();
  if (!request) return one(pool, text, values);
  const setting = `select set_config('request.id', $${values.length + 1}, true), `;
  return one(pool, text.replace(/^select /, setting), [...values, request.id]);
}

/** @param confirmation where addresses have to be verified before a log-in. */
function wrongCredentials(confirmation: boolean): ApiError {
  return confirmation
    ? new ApiError(
        "UNAUTHENTICATED",
        "Wrong identifier or password, or the address has not been verified yet.",
        {
          hint: "Use the link in the mail, or verifyPhone with the code in the SMS. A password reset verifies the address as well.",
        },
      )
    : new ApiError("UNAUTHENTICATED", "Wrong identifier or password.");
}
