import "postgraphile/grafserv/node";
import type { ServerResponse } from "node:http";
import type { Pool } from "pg";
import type { Result } from "postgraphile/grafserv";
import { type RequestSettings, verifySession } from "../database/request-settings.ts";
import { ApiError, type ErrorCode } from "../errors.ts";
import {
  answerTooLarge,
  jsonLength,
  LARGE_ANSWER,
  MAX_ANSWER,
  MAX_UNSENT,
} from "../http/answer-size.ts";
import { fieldOf, UNAVAILABLE_MESSAGE, withoutSuggestions } from "./errors.ts";

type ErrorJson = {
  message: string;
  extensions?: { code?: string; field?: string; statusCode?: number };
};
type ResponseJson = { errors?: ErrorJson[]; data?: unknown };

/**
 * The last look at each HTTP answer: a session that has ended is HTTP 401 even where the operation
 * never came to the database, and each error has a code.
 */
export function createResponsePlugin(options: {
  pool: Pool;
  verified: WeakSet<object>;
  /** Whether a misspelt field is answered with its likely names, which tells the schema. */
  suggestions: boolean;
  /** Bytes of a request's body at most. */
  longest: number;
}): GraphileConfig.Plugin {
  const { pool, verified, suggestions, longest } = options;
  return {
    name: "HowdahResponsePlugin",
    version: "1.0.0",
    grafserv: {
      middleware: {
        async processRequest(next, event) {
          const result = (await next()) as Result | null;
          if (result?.type !== "json") return result;
          const { req: request, res: response } = event.requestDigest.requestContext.node ?? {};
          const settings = request?.identity?.settings;
          const body = result.json as ResponseJson;
          // What comes without a code was refused before the mask: syntax, validation, HTTP.
          const refused = result.statusCode === 503 ? "UNAVAILABLE" : "BAD_USER_INPUT";
          for (const error of body.errors ?? []) {
            const { statusCode, ...extensions } = error.extensions ?? {};
            const field = extensions.code === undefined ? fieldOf(error.message) : undefined;
            error.extensions = { code: refused, ...(field && { field }), ...extensions };
            request?.scope?.codes.push(error.extensions.code as ErrorCode);
            if (result.statusCode === 413) {
              error.message = `A request may have ${longest.toLocaleString("en")} bytes.`;
            }
            if (!suggestions) error.message = withoutSuggestions(error.message);
          }
          const tooLarge = tooLargeFor(response, jsonLength(body));
          if (tooLarge) {
            const { code, message, extensions } = tooLarge;
            request?.scope?.codes.push(code);
            const statusCode = code === "UNAVAILABLE" ? 503 : 400;
            return {
              ...result,
              statusCode,
              json: { errors: [{ message, extensions: { ...extensions } }] },
            };
          }
          if (!settings?.["jwt.claims.session_id"]) return result;
          const refusal =
            body.errors?.find((error) => error.extensions?.code === "SESSION_REVOKED") ??
            (verified.has(settings) ? undefined : await refusalOf(pool, settings));
          if (!refusal) return result;
          const statusCode = refusal.extensions?.code === "SESSION_REVOKED" ? 401 : 503;
          if (request?.scope) request.scope.codes = [refusal.extensions?.code as ErrorCode];
          return { ...result, statusCode, json: { errors: [refusal] } };
        },
      },
    },
  };
}

/** Large answers whose readers have not got them all. */
const unsent = new Set<ServerResponse>();

/** Why an answer of this length is not sent, if so. */
function tooLargeFor(response: ServerResponse | undefined, length: number): ApiError | undefined {
  if (length > MAX_ANSWER) return answerTooLarge();
  if (length < LARGE_ANSWER || !response) return undefined;
  let waiting = length;
  for (const one of unsent) waiting += one.writableLength;
  if (waiting > MAX_UNSENT) return new ApiError("UNAVAILABLE", UNAVAILABLE_MESSAGE);
  unsent.add(response);
  response.once("close", () => unsent.delete(response));
  return undefined;
}

/** Nobody is answered whose session could not be checked. */
async function refusalOf(pool: Pool, settings: RequestSettings): Promise<ErrorJson | undefined> {
  try {
    await verifySession(pool, settings);
    return undefined;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return code === "HWREV"
      ? { message, extensions: { code: "SESSION_REVOKED" } }
      : { message: UNAVAILABLE_MESSAGE, extensions: { code: "UNAVAILABLE" } };
  }
}
