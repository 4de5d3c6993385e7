import "postgraphile/grafserv";
import { SafeError } from "postgraphile/grafast";
import { OperationTypeNode } from "postgraphile/graphql";
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
        processGraphQLRequestBody(next, { body, graphqlWsContext }) {
          try {
            checkVariables(body.variableValues);
            const kinds = checkLimits(body);
            if (!graphqlWsContext && kinds.has(OperationTypeNode.SUBSCRIPTION)) {
              throw new ApiError("BAD_USER_INPUT", "Subscriptions go over a WebSocket.", {
                hint: "Connect to the same address with the protocol graphql-transport-ws.",
              });
            }
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
