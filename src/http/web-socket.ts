import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as delay, setImmediate } from "node:timers/promises";
import { type Context, type ExecutionResult, makeServer, type OperationResult } from "graphql-ws";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { type GrafservBase, makeGraphQLWSConfig } from "postgraphile/grafserv";
import { type ExecutionArgs, GraphQLError } from "postgraphile/graphql";
import { type WebSocket, WebSocketServer } from "ws";
import type { AccessTokens } from "../auth/access-tokens.ts";
import { verifySession } from "../database/request-settings.ts";
import { ApiError } from "../errors.ts";
import { onDemand } from "../graphql/demand.ts";
import type { LiveEvents } from "../graphql/live-events.ts";
import { MAX_REQUEST_LENGTH } from "../graphql/preset.ts";
import type { ApiMetrics } from "../metrics/api-metrics.ts";
import {
  answerTooLarge,
  jsonLength,
  LARGE_ANSWER,
  MAX_ANSWER,
  MAX_UNSENT,
  MAX_UNSENT_OF_ONE,
} from "./answer-size.ts";
import { clientAddress } from "./client-address.ts";
import { authorizationOf, closeWithSession, refuseSocket } from "./socket-identity.ts";
import { createTurns } from "./turns.ts";
import { type Connection, openConnection } from "./web-socket-connection.ts";
import { logOperations } from "./web-socket-log.ts";

type GrafastArgs = ExecutionArgs & {
  resolvedPreset: GraphileConfig.ResolvedPreset;
  requestContext: Partial<Grafast.RequestContext>;
};

export interface WebSocketOptions {
  server: Server;
  grafserv: GrafservBase;
  accessTokens: AccessTokens;
  pool: Pool;
  liveEvents: LiveEvents;
  /** Hops whose X-Forwarded-For is believed. */
  trustProxy: number;
  rateLimitFactor: number;
  /** Origins that a browser may connect from; a client without an Origin is no browser. */
  allowedOrigins: string[];
  logger: Logger;
  metrics: ApiMetrics;
}

export interface WebSockets {
  /** How many are open. */
  sockets(): number;
  /** How many operations are open on them. */
  operations(): number;
  /** Closes each with 1001 once it has its answers, or after so many milliseconds. */
  close(patience: number): Promise<void>;
}

/** Open sockets of one user; of one address, for those who are not logged in. */
const MAX_SOCKETS = 100;
/** Sockets of one address that have not said who they are (connection_init): after a restart all of a proxy's come at once. */
const MAX_SILENT = 1000;
/** Operations that are under way on one socket. */
const MAX_OPERATIONS = 100;

/** How long a client may take to close its half of a socket that this process has closed, milliseconds. */
const CLOSE_TIMEOUT = 2000;
/** The same where this process stops. */
const GOODBYE = 1000;

/**
 * GraphQL over WebSocket (`graphql-transport-ws`) on /graphql. The token comes in
 * connectionParams; a bad one, or one of a session that has ended, closes with 4403.
 */
export function serveWebSockets(options: WebSocketOptions): WebSockets {
  const { server, grafserv, accessTokens, pool, allowedOrigins, logger } = options;
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_REQUEST_LENGTH,
    // The types of ws do not have it yet.
    ...{ closeTimeout: CLOSE_TIMEOUT },
    handleProtocols: (protocols) =>
      protocols.has("graphql-transport-ws") ? "graphql-transport-ws" : false,
  });
  const config = logOperations(makeGraphQLWSConfig(grafserv), options);
  const maxSockets = Math.ceil(MAX_SOCKETS * options.rateLimitFactor);
  const maxSilent = Math.ceil(MAX_SILENT * options.rateLimitFactor);
  const socketsOf = new Map<string, number>();
  const silentOf = new Map<string, number>();
  const connections = new Map<WebSocket, Connection>();
  const contexts = new Set<Context>();
  let closing = false;
  /** One operation is planned in each turn of the event loop. */
  const nextTurn = createTurns();
  const graphql = makeServer<Record<string, unknown>, Connection>({
    ...config,
    async onSubscribe(context, id, payload) {
      if (Object.keys(context.subscriptions).length > MAX_OPERATIONS) {
        return [tooMany(`${MAX_OPERATIONS} operations at once are allowed on a connection.`)];
      }
      const { socket, owner } = context.extra;
      await nextTurn(owner);
      if (socket.readyState !== socket.OPEN) {
        // Nobody is told, and no line is logged.
        delete context.subscriptions[id];
        return [closed()];
      }
      return config.onSubscribe?.(context, id, payload);
    },
    execute(args) {
      const { socket } = (args as GrafastArgs).requestContext.ws as { socket: WebSocket };
      const connection = connections.get(socket);
      if (!connection) return { errors: [closed()] };
      return noted(connection, async () => {
        await connection.drained();
        if (socket.readyState !== socket.OPEN) return { errors: [closed()] };
        return config.execute?.(args) as Promise<ExecutionResult>;
      });
    },
    async subscribe(args) {
      const results = (await config.subscribe?.({
        ...args,
        resolvedPreset: withoutTimeout((args as GrafastArgs).resolvedPreset),
      } as GrafastArgs)) as Awaited<OperationResult>;
      const { demand } = args.contextValue as Grafast.Context;
      return Symbol.asyncIterator in results ? onDemand(results, demand) : results;
    },
    async onNext(context, id, payload, args, raw) {
      const result = (await config.onNext?.(context, id, payload, args, raw)) ?? raw;
      const length = jsonLength(result);
      if (length > MAX_ANSWER) {
        const { message, extensions } = answerTooLarge();
        return { errors: [new GraphQLError(message, { extensions: { ...extensions } })] };
      }
      const { socket } = context.extra;
      if (!isReading(context.extra, length, connections.values())) {
        socket.close(1013, "This reader is too slow.");
      }
      return result;
    },
    connectionInitWaitTimeout: 10_000,
    /** What is closed here is refused: acknowledged it would be served until it is gone. */
    async onConnect(context) {
      const { connectionParams, extra } = context;
      const { socket } = extra;
      extra.introduced();
      contexts.add(context);
      socket.once("close", () => contexts.delete(context));
      try {
        const identity = accessTokens.authenticate(authorizationOf(connectionParams));
        if (identity.userId !== undefined) extra.owner = `user ${identity.userId}`;
        const gone = countOne(socketsOf, extra.owner, maxSockets);
        if (!gone) {
          // 1013, try again later: it is not the token's fault.
          socket.close(1013, `${maxSockets} connections at once are allowed.`);
          return false;
        }
        socket.once("close", gone);
        // Watched before it is asked about: an end between the two is not missed.
        closeWithSession(socket, identity, options);
        if (identity.sessionId !== undefined) await verifySession(pool, identity.settings);
      } catch (error) {
        // Whatever the reason, nobody gets in whose token is not known to be good.
        refuseSocket(socket, error);
      }
      return socket.readyState === socket.OPEN;
    },
  });

  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { origin } = request.headers;
    if (closing) return refuse(socket, "503 Service Unavailable", "Shutting down.");
    if (request.url?.split("?")[0] !== "/graphql") {
      return refuse(socket, "404 Not Found", "WebSockets are at /graphql.");
    }
    if (origin !== undefined && !allowedOrigins.includes(origin)) {
      return refuse(socket, "403 Forbidden", "ALLOWED_ORIGINS does not have this origin.");
    }
    const owner = clientAddress(request, options.trustProxy);
    const introduced = countOne(silentOf, owner, maxSilent);
    if (!introduced) {
      const message = `${maxSilent} connections at once may be without a connection_init.`;
      return refuse(socket, "429 Too Many Requests", message);
    }
    socket.once("close", introduced);
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const client = { socket: webSocket, request, owner, introduced };
      connections.set(webSocket, openConnection(graphql, client, logger));
      webSocket.once("close", () => connections.delete(webSocket));
    });
  };
  server.on("upgrade", upgrade);
  return {
    sockets: () => connections.size,
    operations: () =>
      [...contexts].reduce((sum, { subscriptions }) => sum + Object.keys(subscriptions).length, 0),
    async close(patience) {
      closing = true;
      const late = delay(Math.max(0, patience), undefined, { ref: false });
      const gone = [...connections.values()].map(async ({ socket, running }) => {
        const goodbye = new Promise((resolve) => socket.once("close", resolve));
        await Promise.race([Promise.allSettled(running), late]);
        // The answer goes out first.
        await setImmediate();
        socket.close(1001, "Going away");
        // Who does not say goodbye is not waited for.
        await Promise.race([goodbye, delay(GOODBYE, undefined, { ref: false })]);
        socket.terminate();
      });
      await Promise.all(gone);
    },
  };
}

/** Runs it in its turn, and keeps it among those of its connection until it has ended. */
async function noted<T>({ inTurn, running }: Connection, run: () => Promise<T>): Promise<T> {
  const promise = inTurn(run);
  running.add(promise);
  try {
    return await promise;
  } finally {
    running.delete(promise);
  }
}

/** Whether its answers, those to its owner and those to all are read fast enough for one more of this length. */
function isReading(
  { socket, owner }: Connection,
  length: number,
  all: Iterable<Connection>,
): boolean {
  const unsent = socket.bufferedAmount + length;
  if (unsent <= LARGE_ANSWER) return true;
  if (unsent > MAX_ANSWER) return false;
  let [ofOne, ofAll] = [length, length];
  for (const other of all) {
    const { bufferedAmount } = other.socket;
    ofAll += bufferedAmount;
    if (other.owner === owner) ofOne += bufferedAmount;
  }
  return ofOne <= MAX_UNSENT_OF_ONE && ofAll <= MAX_UNSENT;
}

/**
 * grafast's limit on the time of an execution counts from the beginning of a subscription: its events
 * would fail after that. What an event reads is bounded by the database's time-out.
 */
const untimed = new WeakMap<object, GraphileConfig.ResolvedPreset>();
function withoutTimeout(preset: GraphileConfig.ResolvedPreset): GraphileConfig.ResolvedPreset {
  let changed = untimed.get(preset);
  if (!changed) {
    const { execution: _, ...timeouts } = preset.grafast?.timeouts ?? {};
    changed = { ...preset, grafast: { ...preset.grafast, timeouts } };
    untimed.set(preset, changed);
  }
  return changed;
}

/** What to call once when it is one less; undefined where there may be no more. */
function countOne(
  counts: Map<string, number>,
  owner: string,
  most: number,
): (() => void) | undefined {
  const count = counts.get(owner) ?? 0;
  if (count >= most) return undefined;
  counts.set(owner, count + 1);
  let isCounted = true;
  return () => {
    if (!isCounted) return;
    isCounted = false;
    const left = (counts.get(owner) ?? 1) - 1;
    if (left === 0) counts.delete(owner);
    else counts.set(owner, left);
  };
}

/** For graphql-ws alone: a closed socket is told nothing more. */
function closed(): GraphQLError {
  return new GraphQLError("Closed.");
}

function tooMany(message: string): GraphQLError {
  const refusal = new ApiError("TOO_COMPLEX", message);
  return new GraphQLError(message, { extensions: { ...refusal.extensions } });
}

/** The client may be gone, or keep its half open: neither ends more than this connection. */
function refuse(socket: Duplex, status: string, message: string): void {
  socket.on("error", () => socket.destroy());
  const body = `${message}\n`;
  const head = [
    `HTTP/1.1 ${status}`,
    "Connection: close",
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}
