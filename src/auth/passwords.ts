import { type Algorithm, hash, verify } from "@node-rs/argon2";
import { verify as verifyBcrypt } from "@node-rs/bcrypt";
import { dictionary } from "@zxcvbn-ts/language-common";
import { ApiError } from "../errors.ts";

/** Argon2id with OWASP's first choice of parameters (Password Storage Cheat Sheet): 19 MiB. */
const PARAMETERS = {
  algorithm: 2 as Algorithm.Argon2id,
  memoryCost: 19456,
  timeCost: 2,
  parallelism: 1,
};
const CURRENT = "$argon2id$v=19$m=19456,t=2,p=1$";

const MIN_LENGTH = 8;
const MAX_LENGTH = 256;
/** The 3,000 most common of those that are long enough (ASVS 6.2.4), most common first. */
const COMMON = new Set(
  dictionary["passwords-common"].filter((password) => password.length >= MIN_LENGTH).slice(0, 3000),
);

/**
 * Hashes a new password, off the event loop.
 * @throws {ApiError} BAD_USER_INPUT
 */
export async function hashNewPassword(password: string, field?: string): Promise<string> {
  checkNewPassword(password, field);
  return hash(password, PARAMETERS);
}

/**
 * Length counts code points; no composition rules (OWASP ASVS 5.0, 6.2.1, 6.2.4, 6.2.5, 6.2.8, 6.2.9).
 * @throws {ApiError} BAD_USER_INPUT
 */
export function checkNewPassword(password: string, field = "password"): void {
  const length = [...password].length;
  if (length < MIN_LENGTH || length > MAX_LENGTH) {
    throw new ApiError(
      "BAD_USER_INPUT",
      `A password has ${MIN_LENGTH} to ${MAX_LENGTH} characters.`,
      { field },
    );
  }
  if (password.includes("\0")) {
    throw new ApiError("BAD_USER_INPUT", "A password cannot contain the character NUL.", { field });
  }
  if (COMMON.has(password.toLowerCase())) {
    throw new ApiError("BAD_USER_INPUT", "This password is one of the most common ones.", {
      field,
      hint: "Take one that nobody else would think of, such as a few words in a row.",
    });
  }
}

/**
 * Compares a password with a hash, or with none: that takes as long, so that nobody learns from
 * the time whether an account exists.
 */
export async function verifyPassword(
  password: string,
  passwordHash: string | null | undefined,
): Promise<boolean> {
  // Longer ones were never accepted; hashing megabytes would only keep a thread busy.
  const bounded = password.slice(0, MAX_LENGTH * 2);
  if (!passwordHash) {
    await verify(await dummyHash(), bounded);
    return false;
  }
  // The template that Howdah replaces stored bcrypt; rehash() makes it Argon2id at the next log-in.
  const compare = /^\$2[aby]\$/.test(passwordHash) ? verifyBcrypt : verifyArgon2;
  return (await compare(bounded, passwordHash)) && bounded === password;
}

/** The hash with today's parameters where the stored one has others; undefined where it has not. */
export async function rehash(password: string, passwordHash: string): Promise<string | undefined> {
  return passwordHash.startsWith(CURRENT) ? undefined : hash(password, PARAMETERS);
}

function verifyArgon2(password: string, passwordHash: string): Promise<boolean> {
  return verify(passwordHash, password);
}

let dummy: Promise<string> | undefined;
function dummyHash(): Promise<string> {
  dummy ??= hash("nobody has this password", PARAMETERS);
  return dummy;
}
