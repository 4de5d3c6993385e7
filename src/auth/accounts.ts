import type { Pool } from "pg";
import { ApiError } from "../errors.ts";
import type { AccessTokenClaims, AccessTokens } from "./access-tokens.ts";
import { hashNewPassword, rehash, verifyPassword } from "./passwords.ts";
import {
  hashRefreshToken,
  newRefreshToken,
  openSuccessor,
  sealSuccessor,
} from "./refresh-tokens.ts";

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

/** The address that a request came from. */
type IpAddress = string | undefined;

export interface Accounts {
  signUp(input: SignUpInput, ip: IpAddress): Promise<TokenResponse>;
  logIn(input: LogInInput, ip: IpAddress): Promise<TokenResponse>;
  refresh(refreshToken: string): Promise<TokenResponse>;
}

/**
 * What SQL cannot do of signing in: hashing, comparing, making and signing tokens. The rest are
 * functions of app_private that only the authenticator may call (migration 000004).
 */
export function createAccounts(options: {
  pool: Pool;
  accessTokens: AccessTokens;
  issuer: string;
  audience: string;
}): Accounts {
  const { pool, accessTokens, issuer, audience } = options;

  function response(claims: AccessTokenClaims, refreshToken: string): TokenResponse {
    return {
      accessToken: accessTokens.sign(claims),
      refreshToken,
      tokenType: "Bearer",
      userId: claims.user_id,
      expiresIn: claims.exp - claims.iat,
    };
  }

  return {
    async signUp(input, ip) {
      const passwordHash = await hashNewPassword(input.password);
      const refreshToken = newRefreshToken();
      const { rows } = await pool.query<{ claims: AccessTokenClaims }>(
        "select app_private.sign_up($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) as claims",
        [
          input.firstName,
          input.lastName,
          input.email,
          input.phone,
          input.timezone,
          passwordHash,
          input.deviceInfo,
          ip,
          hashRefreshToken(refreshToken),
          issuer,
          audience,
        ],
      );
      return response(only(rows).claims, refreshToken);
    },

    async logIn(input, ip) {
      const { rows: found } = await pool.query<{ user_id: number; password_hash: string | null }>(
        "select user_id, password_hash from app_private.find_user_for_log_in($1)",
        [input.identifier],
      );
      const [user] = found;
      const matches = await verifyPassword(input.password, user?.password_hash);
      if (!user?.password_hash || !matches) throw wrongCredentials();
      const refreshToken = newRefreshToken();
      const { rows } = await pool.query<{ claims: AccessTokenClaims | null }>(
        "select app_private.log_in($1, $2, $3, $4, $5, $6, $7, $8) as claims",
        [
          user.user_id,
          user.password_hash,
          await rehash(input.password, user.password_hash),
          input.deviceInfo,
          ip,
          hashRefreshToken(refreshToken),
          issuer,
          audience,
        ],
      );
      const { claims } = only(rows);
      if (!claims) throw wrongCredentials();
      return response(claims, refreshToken);
    },

    async refresh(refreshToken) {
      const successor = newRefreshToken();
      const { rows } = await pool.query<{
        outcome: "rotated" | "repeated" | "reused" | "revoked" | "expired" | "unknown";
        current_sealed: Buffer | null;
        claims: AccessTokenClaims | null;
      }>(
        "select outcome, current_sealed, claims from app_private.refresh_session($1, $2, $3, $4, $5)",
        [
          hashRefreshToken(refreshToken),
          hashRefreshToken(successor),
          sealSuccessor(successor, refreshToken),
          issuer,
          audience,
        ],
      );
      const { outcome, current_sealed, claims } = only(rows);
      if (outcome === "rotated" && claims) return response(claims, successor);
      if (outcome === "repeated" && claims && current_sealed) {
        return response(claims, openSuccessor(current_sealed, refreshToken));
      }
      if (outcome === "reused" || outcome === "revoked") {
        throw new ApiError("SESSION_REVOKED", "This session has ended.", { hint: "Log in again." });
      }
      throw new ApiError("UNAUTHENTICATED", "This refresh token is not valid.", {
        hint: "Log in again.",
      });
    },
  };
}

function wrongCredentials(): ApiError {
  return new ApiError("UNAUTHENTICATED", "Wrong identifier or password.");
}

function only<T>(rows: T[]): T {
  const [row] = rows;
  if (row === undefined) throw new Error("A function that answers with one row gave none.");
  return row;
}
