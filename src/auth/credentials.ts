import { ApiError } from "../errors.ts";
import type { Identity } from "./access-tokens.ts";
import {
  type AccountOptions,
  type Client,
  inSql,
  one,
  oneOfRequest,
  rateLimited,
} from "./accounts.ts";
import { hashOpaqueToken } from "./opaque-tokens.ts";
import { hashNewPassword, verifyPassword } from "./passwords.ts";
import { hashCode } from "./proofs.ts";

/** What a user does with their password and their proofs; each ends in one statement. */
export interface Credentials {
  changePassword(
    input: { currentPassword: string; newPassword: string },
    identity: Identity,
    client: Client,
  ): Promise<number>;
  requestPasswordReset(input: { identifier: string }, client: Client): Promise<void>;
  resetPassword(input: { token: string; newPassword: string }, client: Client): Promise<void>;
  /** Returns the id of who is logged in; null for who is not, and names the number. */
  verifyPhone(
    input: { code: string; phone?: string | null },
    identity: Identity,
    client: Client,
  ): Promise<number | null>;
  deleteAccount(
    input: { password?: string | null },
    identity: Identity,
    client: Client,
  ): Promise<void>;
}

/** The functions of migrations 000016, 000017 and 000019 that need a password hashed or a code keyed. */
export function createCredentials(options: AccountOptions & { codeKey: Buffer }): Credentials {
  const { pool, rateLimitFactor, codeKey } = options;

  /** The hash that the password matched, counted as an attempt. */
  async function reauthenticate(userId: number, password: string, field: string): Promise<string> {
    const { retry_after, password_hash } = await one<{
      retry_after: number;
      password_hash: string | null;
    }>(pool, "select retry_after, password_hash from app_private.begin_reauthentication($1, $2)", [
      userId,
      rateLimitFactor,
    ]);
    if (retry_after > 0) throw rateLimited(retry_after);
    // Who signed in by a provider and never set one; nobody but the user themself is told so.
    if (password_hash === null) {
      throw new ApiError("FORBIDDEN", "This account has no password.", {
        field,
        hint: "Set one by requestPasswordReset, which needs a verified e-mail address or phone number (updateMe); to close the account, a log-in of the last ten minutes is enough.",
      });
    }
    if (!(await verifyPassword(password, password_hash))) {
      throw new ApiError("BAD_USER_INPUT", "This is not the current password.", { field });
    }
    return password_hash;
  }

  /** Whose number it is, counted as an attempt; 0, whom no code fits, where it is nobody's. */
  async function userOfPhone(phone: string, client: Client): Promise<number> {
    const { retry_after, user_id } = await one<{ retry_after: number; user_id: number | null }>(
      pool,
      "select retry_after, user_id from app_private.begin_verify_phone($1, $2, $3)",
      [phone, inSql(client), rateLimitFactor],
    );
    if (retry_after > 0) throw rateLimited(retry_after);
    return user_id ?? 0;
  }

  return {
    async changePassword({ currentPassword, newPassword }, identity, client) {
      const { userId, sessionId } = signedIn(identity);
      const current = await reauthenticate(userId, currentPassword, "currentPassword");
      const { changed } = await oneOfRequest<{ changed: boolean }>(
        pool,
        "select app_private.change_password($1, $2, $3, $4, $5) as changed",
        [
          userId,
          sessionId,
          current,
          await hashNewPassword(newPassword, "newPassword"),
          inSql(client),
        ],
      );
      if (!changed) throw new ApiError("CONFLICT", "The password was changed meanwhile.");
      return userId;
    },

    async requestPasswordReset({ identifier }, client) {
      const { wait } = await oneOfRequest<{ wait: number }>(
        pool,
        "select app_private.request_password_reset($1, $2, $3) as wait",
        [identifier, inSql(client), rateLimitFactor],
      );
      if (wait > 0) throw rateLimited(wait);
    },

    async resetPassword({ token, newPassword }, client) {
      const tokenHash = hashOpaqueToken(token);
      // Hashing costs: only for who has a link, and not too often.
      const begun = await one<{ retry_after: number; is_valid: boolean }>(
        pool,
        "select retry_after, is_valid from app_private.begin_password_reset($1, $2, $3)",
        [tokenHash, inSql(client), rateLimitFactor],
      );
      if (begun.retry_after > 0) throw rateLimited(begun.retry_after);
      if (!begun.is_valid) throw deadLink();
      const passwordHash = await hashNewPassword(newPassword, "newPassword");
      const { used } = await oneOfRequest<{ used: boolean }>(
        pool,
        "select app_private.reset_password($1, $2, $3) as used",
        [tokenHash, passwordHash, inSql(client)],
      );
      if (!used) throw deadLink();
    },

    async verifyPhone({ code, phone }, identity, client) {
      const session =
        identity.userId === undefined && phone != null ? undefined : signedIn(identity);
      const userId = session?.userId ?? (await userOfPhone(phone as string, client));
      const { outcome, verified_user_id } = await one<{
        outcome: "verified" | "wrong";
        verified_user_id: number | null;
      }>(pool, "select outcome, verified_user_id from app_private.verify_phone($1, $2, $3, $4)", [
        userId,
        hashCode(code, userId, codeKey),
        inSql(client),
        session?.sessionId,
      ]);
      if (outcome === "wrong" || verified_user_id === null) {
        throw new ApiError("BAD_USER_INPUT", "This code is not right, or not valid any more.", {
          field: "code",
          hint: "It takes five tries, for ten minutes; after that ask for another one.",
        });
      }
      return identity.userId ?? null;
    },

    async deleteAccount({ password }, identity, client) {
      const { userId, sessionId } = signedIn(identity);
      const hash = password == null ? null : await reauthenticate(userId, password, "password");
      const { deleted } = await oneOfRequest<{ deleted: boolean }>(
        pool,
        "select app_private.delete_account($1, $2, $3, $4) as deleted",
        [userId, sessionId, hash, inSql(client)],
      );
      if (!deleted) {
        throw new ApiError("FORBIDDEN", "Your log-in is older than ten minutes.", {
          field: "password",
          hint: "Log in again, or give the password if the account has one.",
        });
      }
    },
  };
}

function deadLink(): ApiError {
  return new ApiError("BAD_USER_INPUT", "This link is not valid any more.", {
    field: "token",
    hint: "Ask for another one.",
  });
}

function signedIn(identity: Identity): { userId: number; sessionId: number } {
  const { userId, sessionId } = identity;
  if (userId === undefined || sessionId === undefined) {
    throw new ApiError("UNAUTHENTICATED", "Log in first.");
  }
  return { userId, sessionId };
}
