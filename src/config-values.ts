import { createPrivateKey, createPublicKey } from "node:crypto";
import { z } from "zod";

// The kinds of values that settings have. What is wrong with one is said without the value.

export const port = (fallback: number) =>
  z.coerce
    .number("must be a port number")
    .int("must be a port number")
    .min(0, "must be a port number, 0 to 65535")
    .max(65535, "must be a port number, 0 to 65535")
    .default(fallback);

export const postgresUrl = z
  .string()
  .refine(
    (value) => /^postgres(ql)?:\/\//.test(value) && URL.canParse(value),
    "must be a URL like postgres://user:password@host:5432/database",
  )
  .optional();

export const httpUrl = z
  .string()
  .refine(
    (value) => /^https?:\/\//.test(value) && URL.canParse(value),
    "must be an http or https URL",
  );

export const list = z
  .string()
  .default("")
  .transform((value) =>
    value
      .split(",")
      .map((entry) => entry.trim())
      .filter((entry) => entry !== ""),
  );

export const origins = list.refine(
  (values) => values.every((value) => URL.canParse(value) && new URL(value).origin === value),
  "must be origins like https://app.example.com, separated by commas",
);

/** 32 bytes, base64. */
export const isKey = (value: string) => Buffer.from(value, "base64").length === 32;

export const redirects = list.refine(
  (values) => values.every(isReturnUrl),
  "must be absolute URLs without user and fragment, separated by commas; http on this machine alone",
);

export const providerUrl = (fallback: string) =>
  httpUrl.default(fallback).transform((value) => value.replace(/\/$/, ""));

export const pem = z
  .string()
  .transform((value) => value.replaceAll("\\n", "\n"))
  .refine(isP256PrivateKey, "must be the PEM of an EC P-256 private key (ES256)")
  .optional();

export const PUBLIC_KEY_BLOCK = /-----BEGIN PUBLIC KEY-----[\s\S]+?-----END PUBLIC KEY-----/g;

/** PEMs of public keys, one after the other. */
export const publicKeys = z
  .string()
  .transform((value) => value.replaceAll("\\n", "\n"))
  .refine(
    (value) =>
      value.replace(PUBLIC_KEY_BLOCK, (block) => (isPublicKey(block) ? "" : block)).trim() === "",
    "must be PEMs of public keys (BEGIN PUBLIC KEY), one after the other",
  )
  .optional();

/** https, a native app's own scheme (RFC 8252), or http on this machine. */
function isReturnUrl(value: string): boolean {
  if (!URL.canParse(value) || /[\s\\]/.test(value)) return false;
  const { protocol, hostname, username, password, hash } = new URL(value);
  if (username || password || hash || value.includes("#")) return false;
  if (protocol === "http:") return ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  return protocol === "https:" || /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(protocol);
}

function isPublicKey(value: string): boolean {
  try {
    createPublicKey(value);
    return true;
  } catch {
    return false;
  }
}

function isP256PrivateKey(value: string): boolean {
  try {
    const key = createPrivateKey(value);
    return key.asymmetricKeyDetails?.namedCurve === "prime256v1";
  } catch {
    return false;
  }
}
