import type { IncomingMessage, ServerResponse } from "node:http";
import cors from "cors";
import type { Express } from "express";
import type { Logger } from "pino";
import type { AccessTokens } from "../auth/access-tokens.ts";
import type { Config } from "../config.ts";
import type { ApiMetrics } from "../metrics/api-metrics.ts";
import type { Tracing } from "../tracing.ts";
import { requireGoodBearer } from "./bearer.ts";
import { answerError, answerNotFound } from "./errors.ts";
import { localHostsOnly } from "./local-hosts.ts";
import { plainMediaTypes } from "./media-types.ts";
import { logRequests } from "./request-log.ts";
import { securityHeaders } from "./security-headers.ts";
import { inSequence, type Step } from "./step.ts";

const GRAPHQL_PATH = "/graphql";

/**
 * The way of every request: what holds for all answers, then GraphQL, or Express with all else. GraphQL's does
 * not lead through Express, which took some 6 % of a read.
 */
export function createFront(options: {
  config: Config;
  development: boolean;
  accessTokens: AccessTokens;
  graphql: Step;
  app: Express;
  logger: Logger;
  metrics: ApiMetrics;
  tracing: Tracing | undefined;
}): (request: IncomingMessage, response: ServerResponse) => void {
  const { config, development, accessTokens, logger, metrics, tracing } = options;
  const { trustProxy } = config.api;
  const forAll = inSequence([
    logRequests({ logger, metrics, tracing, trustProxy }),
    securityHeaders(config.graphiql),
    ...(development ? [localHostsOnly([config.publicUrl, ...config.allowedOrigins])] : []),
    cors({
      origin: config.allowedOrigins,
      methods: ["GET", "POST"],
      exposedHeaders: ["X-Request-Id"],
      maxAge: 86_400,
    }),
  ]);
  const graphql = inSequence([
    onlyPost,
    plainMediaTypes,
    requireGoodBearer(accessTokens),
    options.graphql,
  ]);
  return (request, response) => {
    const fail = (error: unknown) => answerError(error, response, logger);
    try {
      const path = pathOf(request);
      forAll(request, response, (failure) => {
        if (failure) return fail(failure);
        // `*` has no path either: OPTIONS has been answered by now, and nothing else may ask for it.
        if (path === undefined) return answerNotFound(response);
        if (path !== GRAPHQL_PATH) return options.app(request, response);
        graphql(request, response, (error) => {
          if (error) fail(error);
          else answerNotFound(response);
        });
      });
    } catch (error) {
      fail(error);
    }
  };
}

/** What stands before the path where a target is a whole URL (RFC 9112, 3.2.2). */
const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i;

/** From here on a target is a path, cut out as it was sent: what a proxy in front has looked at. Undefined where it has none. */
function pathOf(request: IncomingMessage): string | undefined {
  let url = request.url ?? "";
  if (AUTHORITY.test(url)) {
    url = url.replace(AUTHORITY, "");
    if (!url.startsWith("/")) url = `/${url}`;
    request.url = url;
  }
  return url.startsWith("/") ? (url.split("?", 1)[0] as string) : undefined;
}

const onlyPost: Step = (request, response, next) => {
  if (request.scope) request.scope.operation = null;
  // Whatever else is answered with 405, which has to say what would do (RFC 9110).
  if (request.method !== "POST") response.setHeader("Allow", "POST, OPTIONS");
  next();
};
