import cors from "cors";
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from "express";
import helmet from "helmet";
import type { Logger } from "pino";
import { pinoHttp } from "pino-http";
import type { AccessTokens } from "../auth/access-tokens.ts";
import type { DataDeletion } from "../auth/data-deletion.ts";
import { type JwtKeys, jwks } from "../auth/keys.ts";
import type { SignInFlow } from "../auth/sign-in-flow.ts";
import type { Config } from "../config.ts";
import { ApiError, type ErrorCode } from "../errors.ts";
import { requireGoodBearer, sendGraphQLError } from "./bearer.ts";
import { consoleDevelopmentRoutes } from "./console-development.ts";
import { type ConsoleDevelopment, consoleRoutes } from "./console-routes.ts";
import { dataDeletionRoutes } from "./data-deletion-routes.ts";
import { signInRoutes } from "./sign-in-routes.ts";

export interface AppOptions {
  config: Config;
  keys: JwtKeys;
  accessTokens: AccessTokens;
  signInFlow: SignInFlow;
  dataDeletion: DataDeletion | undefined;
  /** With `npm start` alone. */
  development?: ConsoleDevelopment | undefined;
  logger: Logger;
}

/** The Express app up to GraphQL, which the caller adds; then add `closeApp`. */
export function createApp(options: AppOptions): Express {
  const { config, keys, accessTokens, signInFlow, dataDeletion, development, logger } = options;
  const app = express();
  app.disable("etag");
  app.set("trust proxy", config.api.trustProxy);
  app.use(
    pinoHttp({
      logger,
      customLogLevel: logLevel,
      serializers: { req: describeRequest, res: describeResponse },
    }),
  );
  app.use(helmet(config.graphiql ? { contentSecurityPolicy: false } : {}));
  app.use(cors({ origin: config.allowedOrigins, maxAge: 86_400 }));
  app.get("/.well-known/jwks.json", (_request, response) => {
    response.set("Cache-Control", "public, max-age=300").json(jwks(keys));
  });
  if (dataDeletion) {
    app.use("/auth/facebook/data-deletion", dataDeletionRoutes({ ...config, dataDeletion }));
  }
  app.use("/auth", signInRoutes({ ...config, flow: signInFlow }));
  if (development) {
    const { phonesUrl } = development;
    const { dataDirectory } = config;
    app.use(
      "/console/development",
      consoleDevelopmentRoutes({ accessTokens, dataDirectory, phonesUrl }),
    );
  }
  app.use("/console", consoleRoutes(development));
  app.use("/graphql", plainJson, requireGoodBearer(accessTokens));
  return app;
}

/** Who takes anything gets application/json, as GraphQL over HTTP has it: that is what old clients read. */
const plainJson: RequestHandler = (request, _response, next) => {
  const { accept = "*/*" } = request.headers;
  if (accept.trim() === "*/*") request.headers.accept = "application/json";
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
    logger.error({ error }, "request failed");
    sendGraphQLError(response, 500, new ApiError("INTERNAL", "Something went wrong on our side."));
  };
  app.use(handleError);
}

/** Of routes outside GraphQL, by code; 400 for the others. */
const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  NOT_FOUND: 404,
  RATE_LIMITED: 429,
  UNAVAILABLE: 503,
};

function logLevel(_request: unknown, response: { statusCode: number }): "warn" | "debug" {
  return response.statusCode >= 500 ? "warn" : "debug";
}

/** No header and no query string: they may hold tokens. */
function describeRequest(request: { id: unknown; method: string; url: string }) {
  return { id: request.id, method: request.method, path: request.url.split("?")[0] };
}

function describeResponse(response: { statusCode: number }) {
  return { status: response.statusCode };
}
