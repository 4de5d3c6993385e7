import { randomUUID } from "node:crypto";
import type { DatabaseError } from "pg";
import type { Logger } from "pino";
import { isSafeError } from "postgraphile/grafast";
import { GraphQLError, Kind } from "postgraphile/graphql";
import { ApiError, type ErrorCode, type ErrorExtensions } from "../errors.ts";
import { currentRequest } from "../request-scope.ts";
import { type ConstraintMessage, graphqlName } from "./constraint-messages.ts";
import { fieldOfNoCursor, fieldOfNullInFilter, fieldOfWrongValue } from "./wrong-value.ts";

const STILL_REFERRED_TO = "Something else still refers to it.";

const DATE_AND_TIME = "Write it as 2027-01-31T09:30:00Z, a time alone as 09:30.";

/** SQLSTATEs and their codes; the longest prefix counts. Also in docs/error-codes.md. */
export const SQLSTATE_CODES: Readonly<
  Record<string, { code: ErrorCode; message?: string; hint?: string }>
> = {
  // Raised on purpose (class HW, style of this project): their message is meant for the client.
  HWINP: { code: "BAD_USER_INPUT" },
  HWNFD: { code: "NOT_FOUND" },
  HWCFL: { code: "CONFLICT" },
  HWREV: { code: "SESSION_REVOKED" },
  HWAUT: { code: "UNAUTHENTICATED" },
  HWFBD: { code: "FORBIDDEN" },
  HWLIM: { code: "RATE_LIMITED" },
  // Raised by PostgreSQL: its text stays here, the client gets ours.
  "22": { code: "BAD_USER_INPUT", message: "A value is not valid." },
  "22003": { code: "BAD_USER_INPUT", message: "A number is out of range." },
  "22007": { code: "BAD_USER_INPUT", message: "This is no date or time.", hint: DATE_AND_TIME },
  "22008": { code: "BAD_USER_INPUT", message: "This is no date or time.", hint: DATE_AND_TIME },
  "22021": { code: "BAD_USER_INPUT", message: "A text has a NUL character (U+0000) in it." },
  "22P02": { code: "BAD_USER_INPUT", message: "A value is not of the type that it should be." },
  "22P05": { code: "BAD_USER_INPUT", message: "A text has a NUL character (U+0000) in it." },
  "23001": { code: "CONFLICT", message: STILL_REFERRED_TO },
  "23502": { code: "BAD_USER_INPUT", message: "A value is missing." },
  "23503": { code: "BAD_USER_INPUT", message: "It refers to something that does not exist." },
  "23505": { code: "CONFLICT", message: "It exists already." },
  "23514": { code: "BAD_USER_INPUT", message: "A value is not allowed." },
  "23P01": { code: "CONFLICT", message: "It conflicts with something that exists." },
  "40": { code: "CONFLICT", message: "Somebody else changed this at the same time; try again." },
  "44000": { code: "BAD_USER_INPUT", message: "A value is not allowed." },
  "42501": { code: "FORBIDDEN", message: "You are not allowed to do this." },
  "53": { code: "UNAVAILABLE" },
  "54": { code: "BAD_USER_INPUT", message: "A value is too large." },
  "55P03": { code: "UNAVAILABLE" },
  "57014": {
    code: "TOO_COMPLEX",
    message:
      "A statement of this request took longer than statement_timeout, a limit of the database.",
  },
  "57": { code: "UNAVAILABLE" },
  "58": { code: "UNAVAILABLE" },
  "08": { code: "UNAVAILABLE" },
  // A primary that has become a standby.
  "25006": { code: "UNAVAILABLE" },
  "25P03": { code: "UNAVAILABLE" },
  "25P04": {
    code: "TOO_COMPLEX",
    message:
      "What this request asks at once took longer than transaction_timeout, a limit of the database.",
  },
  // The database lets this process's role not in.
  "28": { code: "UNAVAILABLE" },
};

/** What a client is told while the database is away or too busy. */
export const UNAVAILABLE_MESSAGE = "The service is not available for the moment; try again.";

/** The same where only the answer is missing. */
export const DONE_MESSAGE = "This is done, but what came of it cannot be read for the moment.";

/** The same for a row that is absent and for one that is not yours. */
export const NO_SUCH_ROW = "There is no such row.";

export interface ErrorMaskOptions {
  constraintMessage: (schema: string, name: string) => ConstraintMessage | undefined;
  logger: Logger;
  /** Whether a misspelt field is answered with its likely names, which tells the schema. */
  suggestions: boolean;
  /** Milliseconds that an operation may take. */
  timeouts: { planning: number; execution: number };
}

/** The message of a validation error without what it tells of the schema. */
export function withoutSuggestions(message: string): string {
  return message.replace(/ Did you mean .*\?$/s, "");
}

/**
 * The input field that a sentence of GraphQL's own is about: missing, unknown, or not of its type.
 * @param told the whole of it, where `message` is only its reason
 */
export function fieldOf(message: string, told = message): string | undefined {
  const [, named] =
    /^(?:Variable .*; )?Field "(?:\w+\.)?(\w+)" (?:of required type|is not defined by)/s.exec(
      message,
    ) ??
    /^Variable "\$\w+" got .* at "(?:[^"]*\.)?(\w+)(?:\[\d+\])*"; /s.exec(told) ??
    // A variable that is wrong as a whole, and an argument.
    /^Variable "\$(\w+)" (?:of (?:required|non-null) type|got invalid value) /.exec(told) ??
    /^(?:Field "\w+" argument|Unknown argument|Argument) "(\w+)"/.exec(message) ??
    [];
  return named;
}

/**
 * Turns whatever went wrong into what a client may know: a code, a sentence, a field. What is not
 * understood becomes INTERNAL with an errorId and is logged whole, here and nowhere else.
 */
export function createErrorMask(options: ErrorMaskOptions) {
  return (error: GraphQLError): GraphQLError => {
    const { message, extensions } = isDone(error, describe(error, options));
    return new GraphQLError(message, {
      nodes: error.nodes,
      source: error.source,
      positions: error.positions,
      path: error.path,
      extensions: { ...extensions },
    });
  };
}

/** A mutation that is done, and whose payload cannot be read, is not to be sent again. */
function isDone(error: GraphQLError, description: Description): Description {
  const { document } = currentRequest()?.asked ?? {};
  const isMutation = document?.definitions.some(
    (definition) =>
      definition.kind === Kind.OPERATION_DEFINITION && definition.operation === "mutation",
  );
  if (description.extensions.code !== "UNAVAILABLE" || !isMutation) return description;
  // Below its field: that has come to its end.
  if ((error.path?.length ?? 0) < 2) return description;
  return {
    message: DONE_MESSAGE,
    extensions: {
      ...description.extensions,
      hint: "Do not send it again: ask for what it made by a query.",
    },
  };
}

interface Description {
  message: string;
  extensions: ErrorExtensions;
}

function describe(error: GraphQLError, options: ErrorMaskOptions): Description {
  const original = rootCause(error);
  if (original instanceof ApiError) {
    return { message: original.message, extensions: original.extensions };
  }
  if (original instanceof GraphQLError) {
    const field = fieldOf(original.message, error.message);
    return ofGraphQL(original, field, options.suggestions);
  }
  return (
    ofDatabase(original as Partial<DatabaseError>, options) ??
    ofPlan(original, options) ??
    internal(original, error, options.logger)
  );
}

function rootCause(error: Error): Error {
  let cause = error;
  while (cause instanceof GraphQLError && cause.originalError) cause = cause.originalError;
  return cause;
}

/** Syntax, validation and coercion errors are GraphQL's own and speak to the client already. */
function ofGraphQL(
  error: GraphQLError,
  field: string | undefined,
  suggestions: boolean,
): Description {
  const code = (error.extensions.code as ErrorCode | undefined) ?? "BAD_USER_INPUT";
  const message = suggestions ? error.message : withoutSuggestions(error.message);
  return { message, extensions: { ...error.extensions, code, ...(field && { field }) } };
}

function ofDatabase(
  error: Partial<DatabaseError>,
  options: ErrorMaskOptions,
): Description | undefined {
  if (typeof error.code !== "string") return ofConnection(error);
  const rule =
    ruleFor(error.code) ??
    (isNetworkCode(error.code) ? { code: "UNAVAILABLE" as const } : undefined);
  if (!rule) return undefined;
  if (error.code.startsWith("HW")) {
    return described(rule.code, error.message ?? "", {
      ...(error.column ? { field: graphqlName(error.column) } : {}),
      ...(error.hint ? { hint: error.hint } : {}),
      ...(rule.code === "RATE_LIMITED" ? { retryAfter: Number(error.detail) } : {}),
    });
  }
  if (rule.code === "UNAVAILABLE") {
    options.logger.warn({ sqlstate: error.code, error: error.message }, "unavailable");
    return described(rule.code, UNAVAILABLE_MESSAGE);
  }
  // For who writes policies and grants; the client's answer tells nothing of the schema.
  if (error.code === "42501" && options.suggestions) {
    options.logger.warn({ sqlstate: error.code }, error.message);
  }
  if (error.code === "23503" && /^update or delete on table/.test(error.message ?? "")) {
    return described("CONFLICT", STILL_REFERRED_TO);
  }
  const constraint =
    error.schema && error.constraint
      ? options.constraintMessage(error.schema, error.constraint)
      : undefined;
  const asked = error.code.startsWith("22") ? currentRequest()?.asked : undefined;
  const field =
    (error.column ? graphqlName(error.column) : constraint?.fields[0]) ??
    (asked && fieldOfWrongValue(asked, error.message ?? ""));
  return described(rule.code, constraint?.message || (rule.message as string), {
    ...(field && { field }),
    ...(rule.hint && { hint: rule.hint }),
  });
}

/** pg's own errors carry no code; these are the ones of a database that is away or too busy. */
function ofConnection(error: Partial<Error>): Description | undefined {
  const unavailable =
    /timeout exceeded when trying to connect|Connection terminated|not queryable|Cannot use a pool/.test(
      error.message ?? "",
    );
  return unavailable ? described("UNAVAILABLE", UNAVAILABLE_MESSAGE) : undefined;
}

/** grafast and PostGraphile say these in words only. */
function ofPlan(error: Error, { timeouts }: ErrorMaskOptions): Description | undefined {
  const tooLong = (limit: number, what: string) =>
    described(
      "TOO_COMPLEX",
      `A request may take ${limit / 1000} s to ${what}; this one takes longer.`,
      {
        hint: "Ask for less at a time.",
      },
    );
  if (/^Operation took too long to plan/.test(error.message)) {
    return tooLong(timeouts.planning, "plan");
  }
  if (/^Execution timeout exceeded/.test(error.message)) {
    return tooLong(timeouts.execution, "execute");
  }
  const asked = currentRequest()?.asked;
  if (/^Null literals are forbidden in filter/.test(error.message)) {
    return described("BAD_USER_INPUT", "A filter cannot be null, nor have null in it.", {
      field: (asked && fieldOfNullInFilter(asked)) ?? "filter",
      hint: "Leave it out, or ask for rows without a value by isNull.",
    });
  }
  if (/^Attempted to update a record, but no new values/.test(error.message)) {
    return described("BAD_USER_INPUT", "There is nothing to change.", { field: "patch" });
  }
  const [, cursor] = /^Invalid '(after|before)' cursor/.exec(error.message) ?? [];
  if (cursor) return described("BAD_USER_INPUT", error.message, { field: cursor });
  if (/^Invalid cursor, /.test(error.message)) {
    const field = asked && fieldOfNoCursor(asked);
    return described("BAD_USER_INPUT", error.message, field === undefined ? {} : { field });
  }
  if (error.message === "Cannot use 'offset' with 'last'") {
    return described("BAD_USER_INPUT", "Give `offset` or `last`, not both.", { field: "offset" });
  }
  if (isSafeError(error)) {
    const { code = "BAD_USER_INPUT", ...said } = (error.extensions ??
      {}) as Partial<ErrorExtensions>;
    const { field, hint } = said;
    return described(code, error.message, { ...(field && { field }), ...(hint && { hint }) });
  }
  if (/^No values were deleted/.test(error.message)) {
    return described("NOT_FOUND", NO_SUCH_ROW);
  }
  return undefined;
}

function internal(original: Error, error: GraphQLError, logger: Logger): Description {
  const errorId = currentRequest()?.id ?? randomUUID();
  logger.error({ errorId, error: original, path: error.path?.join(".") }, "internal error");
  return described("INTERNAL", "Something went wrong on our side.", { errorId });
}

function ruleFor(sqlstate: string) {
  return SQLSTATE_CODES[sqlstate] ?? SQLSTATE_CODES[sqlstate.slice(0, 2)];
}

function isNetworkCode(code: string): boolean {
  return ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EHOSTUNREACH"].includes(
    code,
  );
}

function described(
  code: ErrorCode,
  message: string,
  more: Omit<ErrorExtensions, "code"> = {},
): Description {
  return { message, extensions: { code, ...more } };
}
