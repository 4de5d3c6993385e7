import type { RequestHandler, Response } from "express";
import type { AccessTokens } from "../auth/access-tokens.ts";
import { ApiError } from "../errors.ts";
import { currentRequest } from "../request-scope.ts";

/**
 * Verifies the bearer token before anything else looks at the request: a bad one is HTTP 401
 * (RFC 6750), never anonymous access, and never reaches the database.
 */
export function requireGoodBearer(accessTokens: AccessTokens): RequestHandler {
  return (request, response, next) => {
    try {
      request.identity = accessTokens.authenticate(request.headers.authorization);
    } catch (error) {
      if (!(error instanceof ApiError)) return next(error);
      response.set("WWW-Authenticate", 'Bearer error="invalid_token"');
      sendGraphQLError(response, 401, error);
      return;
    }
    next();
  };
}

const GRAPHQL_RESPONSE = "application/graphql-response+json";

/** An error before GraphQL, in GraphQL's form. */
export function sendGraphQLError(response: Response, status: number, error: ApiError): void {
  currentRequest()?.codes.push(error.code);
  // As GraphQL itself would answer: a client that reads it by its media type finds the code.
  const type = response.req.accepts("application/json", GRAPHQL_RESPONSE) || "application/json";
  response
    .status(status)
    .type(type)
    .json({ errors: [{ message: error.message, extensions: error.extensions }] });
}
