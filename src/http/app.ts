import { randomUUID } from "node:crypto";
import cors from "cors";
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from "express";
import type { Pool } from "pg";
import type { Logger } from "pino";
import type { AccessTokens } from "../auth/access-tokens.ts";
import type { DataDeletion } from "../auth/data-deletion.ts";
import { type JwtKeys, jwks } from "../auth/keys.ts";
import type { SignInFlow } from "../auth/sign-in-flow.ts";
import type { Config } from "../config.ts";
import { ApiError, type ErrorCode } from "../errors.ts";
import type { LiveEvents } from "../graphql/live-events.ts";
import type { ApiMetrics } from "../metrics/api-metrics.ts";
import { currentRequest } from "../request-scope.ts";
import type { Tracing } from "../tracing.ts";
import { requireGoodBearer, sendGraphQLError } from "./bearer.ts";
import { consoleDevelopmentRoutes } from "./console-development.ts";
import { type ConsoleDevelopment, consoleRoutes } from "./console-routes.ts";
import { dataDeletionRoutes } from "./data-deletion-routes.ts";
import { localHostsOnly } from "./local-hosts.ts";
import { plainMediaTypes } from "./media-types.ts";
import { logRequests } from "./request-log.ts";
import { securityHeaders } from "./security-headers.ts";
import { signInRoutes } from "./sign-in-routes.ts";

export interface AppOptions {
  config: Config;
  keys: JwtKeys;
  accessTokens: AccessTokens;
  signInFlow: SignInFlow;
  dataDeletion: DataDeletion | undefined;
  pool: Pool;
  liveEvents: LiveEvents;
  /** With `npm start` alone. */
  development?: ConsoleDevelopment | undefined;
  /** The server is to stop. */
  stopping: AbortSignal;
  logger: Logger;
  metrics: ApiMetrics;
  tracing: Tracing | undefined;
}

/** The Express app up to GraphQL, which the caller adds; then add `closeApp`. */
export function createApp(options: AppOptions): Express {
  const { config, keys, accessTokens, signInFlow, dataDeletion, development, logger, metrics } =
    options;
  const { stopping } = options;
  const app = express();
  app.disable("etag");
  app.disable("x-powered-by");
  app.set("trust proxy", config.api.trustProxy);
  app.use(
    logRequests({ logger, metrics, tracing: options.tracing, trustProxy: config.api.trustProxy }),
  );
  app.use(securityHeaders(config.graphiql));
  if (development) app.use(localHostsOnly([config.publicUrl, ...config.allowedOrigins]));
  app.use(
    cors({
      origin: config.allowedOrigins,
      methods: ["GET", "POST"],
      exposedHeaders: ["X-Request-Id"],
      maxAge: 86_400,
    }),
  );
  app.get("/.well-known/jwks.json", (_request, response) => {
    response.set("Cache-Control", "public, max-age=300").json(jwks(keys));
  });
  if (dataDeletion) {
    app.use("/auth/facebook/data-deletion", dataDeletionRoutes({ ...config, dataDeletion }));
  }
  app.use("/auth", signInRoutes({ ...config, flow: signInFlow }));
  if (development) {
    const { phonesUrl, saves } = development;
    const { dataDirectory } = config;
    const { pool, liveEvents } = options;
    app.use(
      "/console/development",
      consoleDevelopmentRoutes({
        accessTokens,
        pool,
        liveEvents,
        dataDirectory,
        phonesUrl,
        saves,
        stopping,
      }),
    );
  }
  app.use("/console", consoleRoutes(development));
  app.use("/graphql", onlyPost, plainMediaTypes, requireGoodBearer(accessTokens));
  return app;
}

const onlyPost: RequestHandler = (request, response, next) => {
  if (request.scope) request.scope.operation = null;
  // Whatever else is answered with 405, which has to say what would do (RFC 9110).
  if (request.method !== "POST") response.set("Allow", "POST, OPTIONS");
  next();
};

/** What is left: unknown paths, and faults before GraphQL. */
export function closeApp(app: Express, logger: Logger): void {
  app.use((_request, response) => {
    sendGraphQLError(response, 404, new ApiError("NOT_FOUND", "There is nothing at this address."));
  });
  const handleError: ErrorRequestHandler = (error, _request, response, next) => {
    if (response.headersSent) return next(error);
    if (error instanceof ApiError) {
      const { retryAfter } = error.extensions;
      if (retryAfter !== undefined) response.set("Retry-After", String(retryAfter));
      return sendGraphQLError(response, STATUS[error.code] ?? 400, error);
    }
    const status = Number((error as { statusCode?: unknown }).statusCode) || 500;
    if (status < 500) {
      const refusal = new ApiError("BAD_USER_INPUT", "This request could not be read.");
      return sendGraphQLError(response, status, refusal);
    }
    const errorId = currentRequest()?.id ?? randomUUID();
    logger.error({ errorId, error }, "internal error");
    const fault = new ApiError("INTERNAL", "Something went wrong on our side.", { errorId });
    sendGraphQLError(response, 500, fault);
  };
  app.use(handleError);
}

/** Of routes outside GraphQL, by code; 400 for the others. */
const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  NOT_FOUND: 404,
  RATE_LIMITED: 429,
  UNAVAILABLE: 503,
};
