import { CombinedError } from "urql";

export interface ServerError {
  message: string;
  extensions?: { code?: string; field?: string; hint?: string; retryAfter?: number };
}

/** What went wrong, in words for who looks: docs/error-codes.md has the codes. */
export class Problem extends Error {
  override name = "Problem";
  readonly code: string;
  readonly field: string | undefined;
  readonly hint: string | undefined;

  constructor({ message, extensions }: ServerError) {
    super(message);
    this.code = extensions?.code ?? "INTERNAL";
    this.field = extensions?.field;
    this.hint =
      extensions?.hint ??
      (extensions?.retryAfter === undefined
        ? HINTS[this.code]
        : `Try again in ${extensions.retryAfter} seconds.`);
  }
}

const HINTS: Readonly<Record<string, string>> = {
  FORBIDDEN: "Log in as an operator.",
  NETWORK: "It is tried again as soon as the connection is back.",
  NOT_FOUND: "Check the number in the address.",
  UNAUTHENTICATED: "Log in again.",
};

/** Of whatever was thrown or answered. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (Array.isArray(error)) {
    return new Problem((error[0] as ServerError) ?? { message: "The server gave no answer." });
  }
  if (error instanceof CombinedError && error.graphQLErrors[0]) {
    return new Problem(error.graphQLErrors[0] as ServerError);
  }
  return new Problem({
    message: "The server cannot be reached.",
    extensions: { code: "NETWORK" },
  });
}
