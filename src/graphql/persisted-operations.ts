import { PersistedPlugin } from "@grafserv/persisted";
import "postgraphile/grafserv";
import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import { SafeError } from "postgraphile/grafast";
import { GraphQLError, parse, validate } from "postgraphile/graphql";
import { z } from "zod";
import { ConfigError } from "../config.ts";
import { consoleOperations } from "./console-operations.ts";

/** By id, as Relay's compiler and GraphQL Code Generator write them. */
export type PersistedOperations = ReadonlyMap<string, string>;

/** @throws {ConfigError} where the file is not a JSON object of GraphQL documents by id */
export function readPersistedOperations(file: string): PersistedOperations {
  const fault = (what: string) =>
    new ConfigError(`These settings are wrong:\n  PERSISTED_OPERATIONS: ${what}`);
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw fault(error instanceof SyntaxError ? `${file} is no JSON` : `cannot read ${file}`);
  }
  const documents = z.record(z.string(), z.string()).safeParse(content);
  if (!documents.success) throw fault("must be a JSON object of GraphQL documents by id");
  const operations = new Map(Object.entries(documents.data));
  for (const [id, document] of operations) {
    try {
      parse(document);
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error;
      throw fault(`${id}: ${error.message}`);
    }
  }
  return operations;
}

type Body = Parameters<NonNullable<GraphileConfig.GrafservOptions["hashFromPayload"]>>[0];

/** Where Apollo Client (`extensions.persistedQuery`) and Relay (`documentId`, `id`) say it. */
function idOf({ extensions, documentId, id }: Body): { id: unknown; field: string } {
  const { persistedQuery } = (extensions ?? {}) as {
    persistedQuery?: { sha256Hash?: unknown } | null;
  };
  const hash = persistedQuery?.sha256Hash;
  return hash === undefined
    ? { id: documentId ?? id, field: "documentId" }
    : { id: hash, field: "extensions.persistedQuery" };
}

function refuse(message: string, field: string, hint: string): never {
  throw new SafeError(message, { code: "BAD_USER_INPUT", field, hint, statusCode: 400 });
}

/** Says what to do to whoever asks by an id where there are none. */
export const NoPersistedOperationsPlugin: GraphileConfig.Plugin = {
  name: "HowdahNoPersistedOperationsPlugin",
  version: "1.0.0",
  grafserv: {
    middleware: {
      processGraphQLRequestBody(next, { body }) {
        const { id, field } = idOf(body);
        if (id !== undefined && !body.query) {
          refuse(
            "Persisted operations are off.",
            field,
            "Send the operation as query, or start the API with PERSISTED_OPERATIONS.",
          );
        }
        return next();
      },
    },
  },
};

/**
 * Operations by their id; `only`: no others, so that nobody can ask what the app's developers have not; but those of
 * the console, which sends them as they are. To be put before the plugins that look at the document.
 */
export function persistedOperationsPreset(
  operations: PersistedOperations,
  only: boolean,
  logger: Logger,
): GraphileConfig.Preset {
  const isConsoles = only ? consoleOperations() : () => false;
  const isKnown = (id: unknown): id is string => typeof id === "string" && operations.has(id);
  return {
    plugins: [
      {
        name: "HowdahPersistedErrorsPlugin",
        version: "1.0.0",
        before: ["PersistedPlugin"],
        schema: {
          hooks: {
            // Not refused: those of old apps may stay in the file.
            finalize(schema) {
              for (const [id, document] of operations) {
                const [error] = validate(schema, parse(document));
                if (error) {
                  logger.warn(
                    { operation: id, fault: error.message },
                    "a persisted operation is not of this schema",
                  );
                }
              }
              return schema;
            },
          },
        },
        grafserv: {
          middleware: {
            async processGraphQLRequestBody(next, { body }) {
              const { id, field } = idOf(body);
              if (isKnown(id) || (only ? isConsoles(body.query) : body.query)) return next();
              if (id !== undefined) {
                // Apollo's clients know this message.
                const message =
                  field === "documentId"
                    ? "There is no such persisted operation."
                    : "PersistedQueryNotFound";
                refuse(message, field, "The API knows those of its file PERSISTED_OPERATIONS.");
              }
              if (only) {
                refuse(
                  "This server takes persisted operations only.",
                  "documentId",
                  "Send the documentId of one.",
                );
              }
              refuse(
                "There is neither a query nor the id of a persisted operation.",
                "query",
                "Send query, documentId or extensions.persistedQuery.",
              );
            },
          },
        },
      },
      PersistedPlugin,
    ],
    grafserv: {
      // Whatever is unknown was refused above: the plugin would write it to the console, variables and all.
      hashFromPayload: (body) => {
        const { id } = idOf(body);
        return isKnown(id) ? id : undefined;
      },
      persistedOperationsGetter: (id) => operations.get(id) as string,
      allowUnpersistedOperation: true,
    },
  };
}
