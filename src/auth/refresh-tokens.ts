import { deriveKey, open, seal } from "./sealing.ts";

/**
 * Encrypts a refresh token's successor so that only who holds the token can read it: that is how the
 * same successor can be given again within the grace although the database knows only hashes.
 */
export function sealSuccessor(successor: string, token: string): Buffer {
  return seal(sealingKey(token), successor);
}

/** @throws where the seal is not this token's. */
export function openSuccessor(sealed: Buffer, token: string): string {
  return open(sealingKey(token), sealed);
}

function sealingKey(token: string): Buffer {
  return deriveKey(token, "howdah refresh token successor");
}
