/** The codes of `errors[].extensions.code`; what each means is in docs/error-codes.md. */
export const ERROR_CODES = [
  "UNAUTHENTICATED",
  "SESSION_REVOKED",
  "FORBIDDEN",
  "NOT_FOUND",
  "BAD_USER_INPUT",
  "CONFLICT",
  "RATE_LIMITED",
  "TOO_COMPLEX",
  "UNAVAILABLE",
  "INTERNAL",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** What an error may say besides its code. */
export interface ErrorExtensions {
  code: ErrorCode;
  /** The GraphQL name of the input field that is wrong. */
  field?: string;
  /** What the client or its user can do. */
  hint?: string;
  /** Seconds. */
  retryAfter?: number;
  /** As in the log, for INTERNAL. */
  errorId?: string;
}

/** An error whose message is meant for the client: it passes the masking as it is. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly extensions: ErrorExtensions;

  constructor(
    code: ErrorCode,
    message: string,
    extensions: Omit<ErrorExtensions, "code"> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.extensions = { code, ...extensions };
  }

  get code(): ErrorCode {
    return this.extensions.code;
  }
}
