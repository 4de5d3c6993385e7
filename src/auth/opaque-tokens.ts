import { createHash, randomBytes } from "node:crypto";

/** A new opaque token or code: 256 random bits, base64url. */
export function newOpaqueToken(): string {
  return randomBytes(32).toString("base64url");
}

/** What is stored of an opaque token: SHA-256; it is random, so nothing slower is needed. */
export function hashOpaqueToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
