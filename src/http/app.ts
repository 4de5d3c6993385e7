import express, { type ErrorRequestHandler, type Express } from "express";
import type { Pool } from "pg";
import type { Logger } from "pino";
import type { AccessTokens } from "../auth/access-tokens.ts";
import type { DataDeletion } from "../auth/data-deletion.ts";
import { type JwtKeys, jwks } from "../auth/keys.ts";
import type { SignInFlow } from "../auth/sign-in-flow.ts";
import type { Config } from "../config.ts";
import type { LiveEvents } from "../graphql/live-events.ts";
import { consoleDevelopmentRoutes } from "./console-development.ts";
import { type ConsoleDevelopment, consoleRoutes } from "./console-routes.ts";
import { dataDeletionRoutes } from "./data-deletion-routes.ts";
import { answerError, answerNotFound } from "./errors.ts";
import { signInRoutes } from "./sign-in-routes.ts";
import type { Step } from "./step.ts";

export interface AppOptions {
  config: Config;
  keys: JwtKeys;
  accessTokens: AccessTokens;
  signInFlow: SignInFlow;
  dataDeletion: DataDeletion | undefined;
  pool: Pool;
  liveEvents: LiveEvents;
  /** With `npm start` alone. */
  development: ConsoleDevelopment | undefined;
  /** The server is to stop. */
  stopping: AbortSignal;
  /** Answers what belongs to GraphiQL. */
  graphiql: Step;
  logger: Logger;
}

/** All but GraphQL, to which no request comes by this way: see front.ts. */
export function createApp(options: AppOptions): Express {
  const { config, keys, accessTokens, signInFlow, dataDeletion, development, logger } = options;
  const app = express();
  app.disable("etag");
  app.disable("x-powered-by");
  app.set("trust proxy", config.api.trustProxy);
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
    const { pool, liveEvents, stopping } = options;
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
  app.use(options.graphiql);
  app.use((_request, response) => answerNotFound(response));
  // Express knows it by its four parameters.
  const handleError: ErrorRequestHandler = (error, _request, response, _next) =>
    answerError(error, response, logger);
  app.use(handleError);
  return app;
}
