import { PersistedPlugin } from "@grafserv/persisted";
import "postgraphile/grafserv";
import { readFileSync } from "node:fs";
import { SafeError } from "postgraphile/grafast";
import { GraphQLError, parse } from "postgraphile/graphql";
import { z } from "zod";
import { ConfigError } from "../config.ts";

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
    throw fault(error instanceof SyntaxError ? "is no JSON" : "cannot be read");
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
function idOf({ extensions, documentId, id }: Body): unknown {
  const { persistedQuery } = (extensions ?? {}) as {
    persistedQuery?: { sha256Hash?: unknown } | null;
  };
  return persistedQuery?.sha256Hash ?? documentId ?? id;
}

/**
 * Operations by their id; `only`: no others, so that nobody can ask what the app's developers have not.
 * To be put before the plugins that look at the document.
 */
export function persistedOperationsPreset(
  operations: PersistedOperations,
  only: boolean,
): GraphileConfig.Preset {
  return {
    plugins: [
      {
        name: "HowdahPersistedErrorsPlugin",
        version: "1.0.0",
        before: ["PersistedPlugin"],
        grafserv: {
          middleware: {
            async processGraphQLRequestBody(next, { body }) {
              const id = idOf(body);
              const isKnown = typeof id === "string" && operations.has(id);
              if (!isKnown && (only || typeof body.query !== "string" || body.query === "")) {
                throw new SafeError(
                  id === undefined
                    ? "This server takes persisted operations only: send the documentId of one."
                    : "There is no such persisted operation.",
                  { code: "BAD_USER_INPUT", field: "documentId", statusCode: 400 },
                );
              }
              return next();
            },
          },
        },
      },
      PersistedPlugin,
    ],
    grafserv: {
      // Whatever is unknown was refused above: the plugin would write it to the console, variables and all.
      hashFromPayload: (body) => {
        const id = idOf(body);
        return typeof id === "string" && operations.has(id) ? id : undefined;
      },
      persistedOperationsGetter: (id) => operations.get(id) as string,
      allowUnpersistedOperation: !only,
    },
  };
}
