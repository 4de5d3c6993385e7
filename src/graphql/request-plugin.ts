import "postgraphile/grafserv";
import { SafeError } from "postgraphile/grafast";
import { Kind, type OperationDefinitionNode, OperationTypeNode } from "postgraphile/graphql";
import { ApiError } from "../errors.ts";
import { createLimitCheck, namedType } from "./limits.ts";
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
            const operations = checkLimits(body);
            leaveOutNullFilters(operations, body.variableValues);
            const isSubscription = operations.some(
              ({ operation }) => operation === OperationTypeNode.SUBSCRIPTION,
            );
            if (!graphqlWsContext && isSubscription) {
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

/**
 * Clients say "no filter" by a variable that is null as often as by one that is left out; within a filter,
 * null is refused.
 */
function leaveOutNullFilters(operations: OperationDefinitionNode[], values: unknown): void {
  const variables = (values ?? {}) as Record<string, unknown>;
  for (const { variableDefinitions = [] } of operations) {
    for (const { variable, type, defaultValue } of variableDefinitions) {
      const name = variable.name.value;
      if (variables[name] !== null || defaultValue || type.kind !== Kind.NAMED_TYPE) continue;
      if (/[a-z]Filter$/.test(namedType(type))) delete variables[name];
    }
  }
}
