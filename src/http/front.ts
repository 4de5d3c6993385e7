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
 * not lead through Express, whose router costs each request about as much as verifying its session.
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
    const isGraphQL = pathOf(request) === GRAPHQL_PATH;
    forAll(request, response, (failure) => {
      if (failure !== undefined) return answerError(failure, response, logger);
      if (!isGraphQL) return options.app(request, response);
      graphql(request, response, (error) => {
        if (error === undefined) answerNotFound(response);
        else answerError(error, response, logger);
      });
    });
  };
}

/** A target may be a whole URL (RFC 9112, 3.2.2); from here on it is a path. */
function pathOf(request: IncomingMessage): string {
  const { url = "/" } = request;
  if (!url.startsWith("/") && URL.canParse(url)) {
    const { pathname, search } = new URL(url);
    request.url = pathname + search;
  }
  return (request.url ?? "/").split("?", 1)[0] as string;
}

const onlyPost: Step = (request, response, next) => {
  if (request.scope) request.scope.operation = null;
  // Whatever else is answered with 405, which has to say what would do (RFC 9110).
  if (request.method !== "POST") response.setHeader("Allow", "POST, OPTIONS");
  next();
};
