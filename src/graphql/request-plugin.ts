import "postgraphile/grafserv";
import { SafeError } from "postgraphile/grafast";
import { ApiError } from "../errors.ts";
import { createLimitCheck } from "./limits.ts";
import { checkVariables } from "./variables.ts";

/** The first look at an operation, over HTTP and WebSockets alike, before anything is done with it. */
export function createRequestPlugin(): GraphileConfig.Plugin {
  const checkLimits = createLimitCheck();
  return {
    name: "HowdahRequestPlugin",
    version: "1.0.0",
    grafserv: {
      middleware: {
        processGraphQLRequestBody(next, { body }) {
          try {
            checkLimits(body);
            checkVariables(body.variableValues);
          } catch (error) {
            if (!(error instanceof ApiError)) throw error;
            // The only error that grafserv hands on as it is, with its status.
            throw new SafeError(error.message, { ...error.extensions, statusCode: 400 });
          }
          return next();
        },
      },
    },
  };
}
