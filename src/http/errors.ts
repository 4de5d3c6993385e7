import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import accepts from "accepts";
import type { Logger } from "pino";
import { ApiError, type ErrorCode } from "../errors.ts";
import { currentRequest } from "../request-scope.ts";

export const GRAPHQL_RESPONSE = "application/graphql-response+json";
export const JSON_TYPE = "application/json";

/** An error before GraphQL, in GraphQL's form. */
export function sendGraphQLError(response: ServerResponse, status: number, error: ApiError): void {
  currentRequest()?.codes.push(error.code);
  // As GraphQL itself would answer: a client that reads it by its media type finds the code.
  const type = accepts(response.req).types([JSON_TYPE, GRAPHQL_RESPONSE]) || JSON_TYPE;
  const body = Buffer.from(
    JSON.stringify({ errors: [{ message: error.message, extensions: error.extensions }] }),
  );
  response
    .writeHead(status, { "Content-Type": `${type}; charset=utf-8`, "Content-Length": body.length })
    .end(body);
}

/** Of routes outside GraphQL, by code; 400 for the others. */
const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  NOT_FOUND: 404,
  RATE_LIMITED: 429,
  UNAVAILABLE: 503,
};

export function answerNotFound(response: ServerResponse): void {
  sendGraphQLError(response, 404, new ApiError("NOT_FOUND", "There is nothing at this address."));
}

/** What was thrown before GraphQL, or beside it; an internal error says no more than its id. */
export function answerError(error: unknown, response: ServerResponse, logger: Logger): void {
  if (response.headersSent) {
    logger.error({ error }, "internal error in the middle of an answer");
    response.destroy();
    return;
  }
  if (error instanceof ApiError) {
    const { retryAfter } = error.extensions;
    if (retryAfter !== undefined) response.setHeader("Retry-After", String(retryAfter));
    sendGraphQLError(response, STATUS[error.code] ?? 400, error);
    return;
  }
  const status = Number((error as { statusCode?: unknown } | null)?.statusCode);
  if (status >= 400 && status < 500) {
    const refusal = new ApiError("BAD_USER_INPUT", "This request could not be read.");
    sendGraphQLError(response, status, refusal);
    return;
  }
  const errorId = currentRequest()?.id ?? randomUUID();
  logger.error({ errorId, error }, "internal error");
  const fault = new ApiError("INTERNAL", "Something went wrong on our side.", { errorId });
  sendGraphQLError(response, 500, fault);
}
