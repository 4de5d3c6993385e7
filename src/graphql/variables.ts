import { ApiError } from "../errors.ts";

/** Objects and lists within each other in one value. */
export const MAX_DEPTH = 100;

/**
 * Refuses what PostgreSQL could not keep as it is, before anything is done with it: half a character
 * (a lone surrogate, which would be stored as U+FFFD), numbers beyond a double, and nesting without end.
 * @throws {ApiError} BAD_USER_INPUT with the key at which it stands
 */
export function checkVariables(variables: unknown): void {
  check(variables, undefined, 0);
}

function check(value: unknown, field: string | undefined, depth: number): void {
  if (typeof value === "string") {
    if (!value.isWellFormed()) refuse("A text has half of a character (a lone surrogate).", field);
    return;
  }
  // JSON.parse() makes Infinity of 1e400, and JSON knows no such number: it would be stored as null.
  if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
    refuse("A number is too large.", field);
  }
  if (typeof value !== "object" || value === null) return;
  // The variables themselves are one level.
  if (depth > MAX_DEPTH) refuse(`A value may be ${MAX_DEPTH} levels deep.`, field);
  if (Array.isArray(value)) {
    for (const entry of value) check(entry, field, depth + 1);
    return;
  }
  for (const [key, entry] of Object.entries(value)) {
    if (!key.isWellFormed()) refuse("A key has half of a character (a lone surrogate).", field);
    check(entry, depth < 3 ? key : field, depth + 1);
  }
}

function refuse(message: string, field: string | undefined): never {
  throw new ApiError("BAD_USER_INPUT", message, field === undefined ? {} : { field });
}
