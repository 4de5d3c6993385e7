import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { postgraphile } from "postgraphile";
import type { GrafservBase } from "postgraphile/grafserv";
import { Registry } from "prom-client";
import { createAuth } from "../auth/auth.ts";
import { loadJwtKeys } from "../auth/keys.ts";
import type { Config } from "../config.ts";
import { createDatabaseClock } from "../database/clock.ts";
import type { Connections } from "../database/connections.ts";
import { createHealthCheck } from "../database/health.ts";
import { createPool, serverLimits } from "../database/pool.ts";
import { type Replica, watchReplica } from "../database/replica.ts";
import { openLiveEvents } from "../graphql/live-events.ts";
import { createPreset } from "../graphql/preset.ts";
import { keepMiddlewareYoung } from "../graphql/young-middleware.ts";
import { createApiMetrics, watchApi, watchPool } from "../metrics/api-metrics.ts";
import { countLogIns } from "../metrics/log-ins.ts";
import { createReplicaMetrics } from "../metrics/replica-metrics.ts";
import { createApp } from "./app.ts";
import type { ConsoleDevelopment } from "./console-routes.ts";
import { createDrain } from "./drain.ts";
import { createFront } from "./front.ts";
import { HowdahGrafserv } from "./grafserv.ts";
import { listen } from "./listen.ts";
import { withoutFloods } from "./pipelining.ts";
import { type ApiState, serveState } from "./state.ts";
import { serveWebSockets } from "./web-socket.ts";

export interface ApiServer {
  url: string;
  opsUrl: string;
  /** What answers GraphQL, for who looks at its schema or gives it another one. */
  graphql: { preset: GraphileConfig.Preset; grafserv: GrafservBase; pool: Pool };
  stop(): Promise<void>;
}

export interface ApiOptions {
  config: Config;
  connections: Pick<Connections, "authenticatorUrl" | "listenUrl">;
  logger: Logger;
  /** What the console shows beyond production, with `npm start` and `npm run dev` alone. */
  development?: ConsoleDevelopment;
  /** Connections at most; a test that wants them shared sets 2. */
  poolSize?: number;
  /** One of several processes (API_PROCESSES): told what is missing, instead of an ops server of its own. */
  onReady?: (missing: string | undefined) => void;
  /** Milliseconds to wait for one of them; a test on a busy machine gives it time. */
  acquireTimeout?: number;
  /** What createDatabaseClock() goes by; tests stop it. */
  elapsed?: () => number;
  /** Milliseconds; tests have shorter ones. */
  timeouts?: { planning?: number; execution?: number; idle?: number };
  /** See PresetOptions. */
  keptSteps?: number;
}

/** Client requests must come in within this, milliseconds (slow headers, slow bodies). */
const REQUEST_TIMEOUT = 10_000;

/** A connection on which nothing moves for so long is closed, milliseconds: its reader has gone, or does not read. */
const IDLE_TIMEOUT = 45_000;

/** How long a read waits for a connection to the replica before it goes to the primary, milliseconds. */
const REPLICA_PATIENCE = 500;

/** How long before the end of SHUTDOWN_SECONDS the last requests are cut off, milliseconds. */
const CUT_OFF = 1000;

/** Starts the API: ready when it resolves. Stops in the order that loses no request. */
export async function startApi(options: ApiOptions): Promise<ApiServer> {
  const { config, connections, logger } = options;
  const { authenticatorUrl, listenUrl } = connections;
  if (authenticatorUrl === undefined || listenUrl === undefined) {
    throw new Error("AUTHENTICATOR_DATABASE_URL must be set.");
  }
  if (config.production && !config.hasPublicUrl) {
    logger.warn(
      `PUBLIC_URL is not set: tokens are issued by, and links lead to, ${config.publicUrl}`,
    );
  }
  const stack = new AsyncDisposableStack();
  const registry = new Registry();
  const metrics = createApiMetrics(registry);
  // It answers from the start, and says what is still to come.
  const state: ApiState = { missing: () => "the schema is being built" };
  try {
    const tracing = config.tracing && (await import("../tracing.ts")).createTracing(config.tracing);
    if (tracing) stack.defer(() => tracing.close());
    const ops = await serveState(options, registry, state, stack);
    const limits = await serverLimits(authenticatorUrl, config.api.processes);
    const max = options.poolSize ?? limits.max;
    const pool = createPool({
      connectionString: authenticatorUrl,
      max,
      ...(options.acquireTimeout === undefined ? {} : { acquireTimeout: options.acquireTimeout }),
      applicationName: "howdah api",
      logger,
      pipeline: true,
      pooled: limits.pooled,
    });
    stack.defer(() => inTime(pool.end()));
    const waits = watchPool(registry, pool, max);
    pool.onWait = (seconds) => waits.observe(seconds);
    const replica = await openReplica(options, { max, pool, registry });
    if (replica) stack.defer(() => inTime(replica.close()));
    const health = await createHealthCheck({
      connectionString: authenticatorUrl,
      applicationName: "howdah api health",
    });
    stack.defer(() => health.close());
    const clock = createDatabaseClock(options.elapsed);
    const liveEvents = await openLiveEvents({ connectionString: listenUrl, pool, clock, logger });
    stack.defer(() => liveEvents.close());

    const keys = await loadJwtKeys(config);
    const auth = countLogIns(await createAuth({ config, keys, pool, clock, logger }), metrics);
    const { accessTokens } = auth;
    const preset = createPreset({
      pool,
      replica,
      tracing,
      ...auth,
      rateLimitFactor: config.rateLimitFactor,
      trustProxy: config.api.trustProxy || 0,
      liveEvents,
      logger,
      graphiql: config.graphiql,
      persistedOperations: config.persistedOperations,
      timeouts: options.timeouts,
      keptSteps: options.keptSteps,
    });
    keepMiddlewareYoung();
    const pgl = postgraphile(preset);
    // What the services hold of the pool has to be given back.
    stack.defer(async () => {
      for (const service of pgl.getResolvedPreset().pgServices ?? []) await service.release?.();
    });
    stack.defer(() => pgl.release());
    const stopping = new AbortController();
    const serv = pgl.createServ((grafservConfig) => new HowdahGrafserv(grafservConfig));
    await serv.ready();
    const answer = serv.handler();
    // The schema has to stand before anybody is let in: a broken one is a failed start.
    await pgl.getSchema();
    const app = createApp({
      config,
      keys,
      ...auth,
      pool,
      liveEvents,
      development: options.development,
      stopping: stopping.signal,
      graphiql: answer,
      logger,
    });
    const front = createFront({
      config,
      development: options.development !== undefined,
      accessTokens,
      graphql: answer,
      app,
      logger,
      metrics,
      tracing,
    });
    const server = createServer(
      {
        requestTimeout: REQUEST_TIMEOUT,
        headersTimeout: REQUEST_TIMEOUT,
        // How often Node looks, milliseconds: with its 30 s the two above would be up to 40.
        connectionsCheckingInterval: 1000,
        // Any other protocol is not spoken here, and whoever offers it gets an answer in this one (RFC 9110, 7.8).
        shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === "websocket",
      },
      withoutFloods(front),
    );
    const drain = createDrain(server);
    server.setTimeout(options.timeouts?.idle ?? IDLE_TIMEOUT);
    await listen(server, config.api.port, config.api.host);
    const { port } = server.address() as AddressInfo;
    const webSockets = serveWebSockets({
      server,
      grafserv: serv,
      accessTokens,
      pool,
      liveEvents,
      trustProxy: config.api.trustProxy || 0,
      rateLimitFactor: config.rateLimitFactor,
      allowedOrigins: webSocketOrigins(config, port),
      logger,
      metrics,
    });
    watchApi(registry, { clock, liveEvents, webSockets });
    stack.defer(async () => {
      const patience = (config.shutdownSeconds - config.drainSeconds) * 1000 - CUT_OFF;
      const [cutOff] = await Promise.all([drain.end(patience), webSockets.close(patience)]);
      if (cutOff > 0) logger.warn({ requests: cutOff }, "cut off at the end of SHUTDOWN_SECONDS");
    });
    stack.defer(() => stopping.abort());

    state.missing = async () =>
      (await health.missing()) ??
      (liveEvents.connected() ? undefined : "live events are interrupted: LISTEN does not stand");
    await ops.begin();
    // First of all others: who asks is told before anything is closed.
    stack.defer(async () => {
      ops.drain();
      drain.begin();
      if (config.drainSeconds > 0) await delay(config.drainSeconds * 1000);
    });
    const disposables = stack.move();
    return {
      graphql: { preset, grafserv: serv, pool },
      url: `http://${hostInUrl(config.api.host)}:${port}`,
      opsUrl: `http://${hostInUrl(config.api.host)}:${ops.port}`,
      stop: () => disposables.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** READ_DATABASE_URL, where it is set. It may be away: reads then go to the primary. */
async function openReplica(
  { config, logger }: ApiOptions,
  { max, pool, registry }: { max: number; pool: Pool; registry: Registry },
): Promise<Replica | undefined> {
  const { readDatabaseUrl } = config;
  const { counted, watch } = createReplicaMetrics(registry);
  if (readDatabaseUrl === undefined) return undefined;
  // One that is away may be behind a pooler when it comes.
  const { pooled } = await serverLimits(readDatabaseUrl, 1).catch(() => ({ pooled: true }));
  const replica = watchReplica({
    primary: pool,
    pool: createPool({
      connectionString: readDatabaseUrl,
      max,
      acquireTimeout: REPLICA_PATIENCE,
      applicationName: "howdah api reads",
      logger,
      pipeline: true,
      pooled,
    }),
    logger,
    counted,
  });
  watch(replica);
  return replica;
}

/** A statement that nobody waits for any more is not waited for either. */
function inTime(ended: Promise<void>): Promise<void> {
  return Promise.race([ended, delay(CUT_OFF / 2, undefined, { ref: false })]);
}

/** In development GraphiQL is served here, under whatever name this machine is called. */
function webSocketOrigins(config: Config, port: number): string[] {
  const own = config.graphiql ? [`http://localhost:${port}`, `http://127.0.0.1:${port}`] : [];
  return [...config.allowedOrigins, new URL(config.publicUrl).origin, ...own];
}

function hostInUrl(host: string): string {
  return host === "0.0.0.0" || host === "::" ? "localhost" : host;
}
