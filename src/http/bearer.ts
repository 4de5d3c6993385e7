import type { Pool } from "pg";
import type { AccessTokens } from "../auth/access-tokens.ts";
import { verifySession } from "../database/request-settings.ts";
import { ApiError } from "../errors.ts";
import { UNAVAILABLE_MESSAGE } from "../graphql/errors.ts";
import { sendGraphQLError } from "./errors.ts";
import type { Step } from "./step.ts";

/**
 * Verifies the bearer token before anything else looks at the request: a bad one is HTTP 401
 * (RFC 6750), never anonymous access, and never reaches the database.
 */
export function requireGoodBearer(accessTokens: AccessTokens): Step {
  return (request, response, next) => {
    try {
      request.identity = accessTokens.authenticate(request.headers.authorization);
    } catch (error) {
      if (!(error instanceof ApiError)) return next(error);
      response.setHeader("WWW-Authenticate", 'Bearer error="invalid_token"');
      sendGraphQLError(response, 401, error);
      return;
    }
    next();
  };
}

/** For what is not GraphQL, whose transactions ask for themselves: 401 once the session has ended. */
export function requireLiveSession(pool: Pool): Step {
  return async (request, response, next) => {
    try {
      if (request.identity?.sessionId !== undefined) {
        await verifySession(pool, request.identity.settings);
      }
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code !== "HWREV")
        throw new ApiError("UNAVAILABLE", UNAVAILABLE_MESSAGE, {}, { cause: error });
      const refusal = new ApiError("SESSION_REVOKED", message, { hint: "Log in again." });
      sendGraphQLError(response, 401, refusal);
      return;
    }
    next();
  };
}
