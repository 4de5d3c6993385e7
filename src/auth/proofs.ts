import { createHmac, randomInt } from "node:crypto";
import { deriveKey } from "./sealing.ts";

/** A code to type: 6 digits. */
export function newCode(): string {
  return String(randomInt(1_000_000)).padStart(6, "0");
}

/**
 * What is stored of a code: an HMAC with a key that the database does not have, bound to the user,
 * because a million codes are guessed at once from anything less.
 */
export function hashCode(code: string, userId: number, key: Buffer): Buffer {
  return createHmac("sha256", key).update(`${userId}:${code}`).digest();
}

/** The key of hashCode, from CREDENTIALS_KEY. */
export function codeKey(credentialsKey: string): Buffer {
  return deriveKey(Buffer.from(credentialsKey, "base64"), "howdah verification codes");
}
