import { sealImported } from "../../auth/provider-tokens.ts";
import { MAX_TEXT } from "../source.ts";
import { bytea, type ImportTable, readParts } from "../table.ts";

/** Accounts elsewhere, without a subject: that comes with the first sign-in. Tokens are encrypted here. */
export const oauth2Credentials: ImportTable = {
  name: "oauth2_credentials",
  target: "app_public.oauth2_credentials",
  keepsIds: true,
  columns: {
    user_id: "int",
    provider: "text",
    email: "text",
    access_token: "text",
    refresh_token: "text",
    token_expiry: "time",
    updated_at: "time",
  },
  staged: {
    user_id: "int",
    provider: "text",
    email: "text",
    access_token_encrypted: "bytea",
    refresh_token_encrypted: "bytea",
    is_token_cut: "boolean",
    token_expiry: "timestamptz",
    updated_at: "timestamptz",
  },
  stage({ access_token, refresh_token, ...row }, keyring) {
    const sealed = (token: unknown, kind: "access" | "refresh") =>
      typeof token === "string" && token !== "" && token.length <= MAX_TEXT
        ? bytea(sealImported(keyring, Number(row.id), kind, token))
        : null;
    return {
      ...row,
      access_token_encrypted: sealed(access_token, "access"),
      refresh_token_encrypted: sealed(refresh_token, "refresh"),
      is_token_cut: [access_token, refresh_token].some((token) => isCut(token)),
    };
  },
  batchSize: 1000,
  ...readParts("oauth2_credentials"),
};

function isCut(token: unknown): boolean {
  return typeof token === "string" && token.length > MAX_TEXT;
}
