import { hashOpaqueToken } from "../../auth/opaque-tokens.ts";
import { bytea, type ImportTable, readParts } from "../table.ts";

/** Fewer characters than a UUID has digits can be guessed. */
const MIN_LENGTH = 32;
const MAX_LENGTH = 4096;

/** A live one becomes a session with that token as its first: only its hash leaves this process. */
export const refreshTokens: ImportTable = {
  name: "refresh_tokens",
  target: "app_public.sessions",
  numbers: "app_private.refresh_tokens",
  keepsIds: false,
  columns: {
    user_id: "int",
    token: "text",
    device_info: "text",
    expires_at: "deadline",
    is_revoked: "boolean",
    last_used_at: "time",
  },
  staged: {
    user_id: "int",
    token_hash: "bytea",
    is_usable: "boolean",
    device_info: "text",
    expires_at: "timestamptz",
    is_revoked: "boolean",
    last_used_at: "timestamptz",
    session_id: "int",
  },
  stage({ token, ...row }) {
    const text = String(token ?? "");
    return {
      ...row,
      token_hash: bytea(hashOpaqueToken(text)),
      is_usable: text.length >= MIN_LENGTH && text.length <= MAX_LENGTH,
      session_id: null,
    };
  },
  batchSize: 1000,
  ...readParts("refresh_tokens"),
};
