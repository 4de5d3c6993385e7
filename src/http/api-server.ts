import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "pino";
import { postgraphile } from "postgraphile";
import { AggregatorRegistry, collectDefaultMetrics, Registry } from "prom-client";
import { createAuth } from "../auth/auth.ts";
import { loadJwtKeys } from "../auth/keys.ts";
import type { Config } from "../config.ts";
import type { Connections } from "../database/connections.ts";
import { createPool, poolSize } from "../database/pool.ts";
import { openLiveEvents } from "../graphql/live-events.ts";
import { createPreset } from "../graphql/preset.ts";
import { closeApp, createApp } from "./app.ts";
import type { ConsoleDevelopment } from "./console-routes.ts";
import { HowdahGrafserv } from "./grafserv.ts";
import { listen } from "./listen.ts";
import { type OpsServer, serveOps } from "./ops.ts";
import { serveWebSockets } from "./web-socket.ts";

export interface ApiServer {
  url: string;
  opsUrl: string;
  stop(): Promise<void>;
}

export interface ApiOptions {
  config: Config;
  connections: Pick<Connections, "authenticatorUrl" | "listenUrl" | "superuserUrl">;
  logger: Logger;
  /** Follow the schema of the database while it changes: development. */
  watch?: boolean;
  /** What the console shows beyond production, with `npm start` alone. */
  development?: ConsoleDevelopment;
  /** Connections at most; a test that wants them shared sets 2. */
  poolSize?: number;
  /** One of several processes (API_PROCESSES): told what is missing, instead of an ops server of its own. */
  onReady?: (missing: string | undefined) => void;
  /** Milliseconds to wait for one of them; a test on a busy machine gives it time. */
  acquireTimeout?: number;
}

/** Client requests must come in within this, milliseconds (slow headers, slow bodies). */
const REQUEST_TIMEOUT = 10_000;

/** Starts the API: ready when it resolves. Stops in the order that loses no request. */
export async function startApi(options: ApiOptions): Promise<ApiServer> {
  const { config, connections, logger } = options;
  const { authenticatorUrl, listenUrl } = connections;
  if (authenticatorUrl === undefined || listenUrl === undefined) {
    throw new Error("AUTHENTICATOR_DATABASE_URL must be set.");
  }
  const stack = new AsyncDisposableStack();
  try {
    const pool = createPool({
      connectionString: authenticatorUrl,
      max: options.poolSize ?? (await poolSize(authenticatorUrl, config.api.processes)),
      ...(options.acquireTimeout === undefined ? {} : { acquireTimeout: options.acquireTimeout }),
      applicationName: "howdah api",
      logger,
      pipeline: true,
    });
    stack.defer(() => pool.end());
    const liveEvents = await openLiveEvents({ connectionString: listenUrl, logger });
    stack.defer(() => liveEvents.close());

    const keys = await loadJwtKeys(config);
    const auth = await createAuth({ config, keys, pool, logger });
    const { accessTokens } = auth;
    const watched = options.watch ? connections.superuserUrl : undefined;
    const pgl = postgraphile(
      createPreset({
        pool,
        ...auth,
        rateLimitFactor: config.rateLimitFactor,
        trustProxy: config.api.trustProxy || 0,
        liveEvents,
        logger,
        graphiql: config.graphiql,
        ...(watched ? { watch: { superuserUrl: watched } } : {}),
      }),
    );
    // What the services hold of the pool, such as the listener of the watch, has to be given back.
    stack.defer(async () => {
      for (const service of pgl.getResolvedPreset().pgServices ?? []) await service.release?.();
    });
    stack.defer(() => pgl.release());
    const app = createApp({ config, keys, ...auth, development: options.development, logger });
    const server = createServer(
      {
        requestTimeout: REQUEST_TIMEOUT,
        headersTimeout: REQUEST_TIMEOUT,
        // How often Node looks, milliseconds: with its 30 s the two above would be up to 40.
        connectionsCheckingInterval: 1000,
      },
      app,
    );
    const serv = pgl.createServ((grafservConfig) => new HowdahGrafserv(grafservConfig));
    await serv.addTo(app, server, false);
    await serv.ready();
    closeApp(app, logger);
    // The schema has to stand before anybody is let in: a broken one is a failed start.
    await pgl.getSchema();
    await listen(server, config.api.port, config.api.host);
    const { port } = server.address() as AddressInfo;
    stack.defer(
      () =>
        new Promise<void>((resolve) => {
          // Requests in flight finish; connections that only wait close at once.
          server.close(() => resolve());
          server.closeIdleConnections();
        }),
    );
    const webSockets = serveWebSockets({
      server,
      grafserv: serv,
      accessTokens,
      pool,
      liveEvents,
      trustProxy: config.api.trustProxy || 0,
      rateLimitFactor: config.rateLimitFactor,
      allowedOrigins: webSocketOrigins(config, port),
    });
    stack.defer(() => webSockets.close());

    const opsPort = await serveState(options, stack, () =>
      liveEvents.connected() ? undefined : "the database is not reachable",
    );
    const disposables = stack.move();
    return {
      url: `http://${hostInUrl(config.api.host)}:${port}`,
      opsUrl: `http://${hostInUrl(config.api.host)}:${opsPort}`,
      stop: () => disposables.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** How long a change of state may stay untold to the process that asks for it, milliseconds. */
const STATE_INTERVAL = 500;

/** By the ops port, which is returned, or to the process that speaks for all of them. */
async function serveState(
  { config, onReady }: ApiOptions,
  stack: AsyncDisposableStack,
  missing: () => string | undefined,
): Promise<number> {
  if (onReady) {
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    AggregatorRegistry.setRegistries([registry]);
    // It answers when the other process collects.
    new AggregatorRegistry();
    let told: string | undefined;
    const timer = setInterval(() => {
      const now = missing();
      if (now !== told) onReady(now);
      told = now;
    }, STATE_INTERVAL);
    stack.defer(() => clearInterval(timer));
    return config.api.opsPort;
  }
  const ops: OpsServer = await serveOps({
    host: config.api.host,
    port: config.api.opsPort,
    ready: missing,
  });
  stack.defer(() => ops.close());
  stack.defer(() => ops.drain());
  return ops.port;
}

/** In development GraphiQL is served here, under whatever name this machine is called. */
function webSocketOrigins(config: Config, port: number): string[] {
  const own = config.graphiql ? [`http://localhost:${port}`, `http://127.0.0.1:${port}`] : [];
  return [...config.allowedOrigins, new URL(config.publicUrl).origin, ...own];
}

function hostInUrl(host: string): string {
  return host === "0.0.0.0" || host === "::" ? "localhost" : host;
}
