import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";

/**
 * Authenticated encryption: AES-256-GCM, with the 12 bytes of the nonce and the 16 of the tag first.
 * `context` is not encrypted, but has to be the same when the seal is opened.
 */
export function seal(key: Buffer, text: string, context = ""): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(Buffer.from(context));
  const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]);
}

/** @throws where the key or the context is another one, or a bit was changed. */
export function open(key: Buffer, sealed: Buffer, context = ""): string {
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12), {
    authTagLength: 16,
  });
  decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(12, 28));
  return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString("utf8");
}

/** A key for one purpose from a key or a token with enough randomness (RFC 5869). */
export function deriveKey(secret: Buffer | string, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, "", purpose, 32));
}

/** Seals with the newest key and opens with any: keys can be replaced while old seals are about. */
export interface Keyring {
  seal(text: string, context?: string): Buffer;
  /** @throws where none of the keys fits. */
  open(sealed: Buffer, context?: string): string;
  /** Whether it was sealed with the newest key. */
  isCurrent(sealed: Buffer): boolean;
}

const KEY_ID_LENGTH = 4;

/** @param secrets newest first, base64: CREDENTIALS_KEY, then CREDENTIALS_PREVIOUS_KEYS. */
export function createKeyring(secrets: readonly string[], purpose: string): Keyring {
  const keys = secrets.map((secret) => {
    const key = deriveKey(Buffer.from(secret, "base64"), purpose);
    return { key, id: createHash("sha256").update(key).digest().subarray(0, KEY_ID_LENGTH) };
  });
  const [newest] = keys;
  if (newest === undefined) throw new Error("A keyring needs a key.");
  const idOf = (sealed: Buffer) => sealed.subarray(0, KEY_ID_LENGTH);
  return {
    seal: (text, context) => Buffer.concat([newest.id, seal(newest.key, text, context)]),
    open(sealed, context) {
      const known = keys.find(({ id }) => id.equals(idOf(sealed)));
      if (!known) throw new Error("Sealed with a key that is not among the configured ones.");
      return open(known.key, sealed.subarray(KEY_ID_LENGTH), context);
    },
    isCurrent: (sealed) => newest.id.equals(idOf(sealed)),
  };
}
