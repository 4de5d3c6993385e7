import { ApiError } from "../errors.ts";

/** Longest answer, characters of JSON. */
export const MAX_ANSWER = 10_000_000;
/** Answers from this length on are looked at for what waits to be sent, characters. */
export const LARGE_ANSWER = 64_000;
/** What may wait in this process for readers, bytes. */
export const MAX_UNSENT = 256_000_000;
/** The same of the WebSockets of one user or address. */
export const MAX_UNSENT_OF_ONE = 32_000_000;

/** About how long a value is as JSON, characters; it stops to count beyond `most`. */
export function jsonLength(value: unknown, most = MAX_ANSWER): number {
  if (typeof value === "string") return value.length + 2;
  if (typeof value !== "object" || value === null) return 6;
  let length = 2;
  if (Array.isArray(value)) {
    for (const entry of value) {
      if (length > most) break;
      length += 1 + jsonLength(entry, most - length);
    }
    return length;
  }
  const fields = value as Record<string, unknown>;
  for (const key in fields) {
    if (length > most) break;
    length += key.length + 4 + jsonLength(fields[key], most - length);
  }
  return length;
}

export function answerTooLarge(): ApiError {
  return new ApiError("TOO_COMPLEX", `This answer has more than ${MAX_ANSWER / 1e6} MB.`, {
    hint: "Ask for less at a time.",
  });
}
