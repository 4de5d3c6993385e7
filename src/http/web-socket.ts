import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import type { Context, OperationResult } from "graphql-ws";
import { type Extra, useServer } from "graphql-ws/use/ws";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { type GrafservBase, makeGraphQLWSConfig } from "postgraphile/grafserv";
import { GraphQLError } from "postgraphile/graphql";
import { WebSocketServer } from "ws";
import type { AccessTokens, Identity } from "../auth/access-tokens.ts";
import { verifySession } from "../database/adaptor.ts";
import { ApiError } from "../errors.ts";
import type { Demand } from "../graphql/demand.ts";
import type { LiveEvents } from "../graphql/live-events.ts";
import { MAX_REQUEST_LENGTH } from "../graphql/preset.ts";
import type { ApiMetrics } from "../metrics/api-metrics.ts";
import { clientAddress } from "./client-address.ts";
import { logOperations } from "./web-socket-log.ts";

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
  close(): Promise<void>;
}

/** Open sockets of one user; of one address, for those who are not logged in. */
const MAX_SOCKETS = 100;
/** Operations that are under way on one socket. */
const MAX_OPERATIONS = 100;

/**
 * GraphQL over WebSocket (`graphql-transport-ws`) on /graphql. The token comes in
 * connectionParams; a bad one, or one of a session that has ended, closes with 4403.
 */
export function serveWebSockets(options: WebSocketOptions): WebSockets {
  const { server, grafserv, accessTokens, pool, allowedOrigins } = options;
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_REQUEST_LENGTH,
    handleProtocols: (protocols) =>
      protocols.has("graphql-transport-ws") ? "graphql-transport-ws" : false,
  });
  const config = logOperations(makeGraphQLWSConfig(grafserv), options);
  const maxSockets = Math.ceil(MAX_SOCKETS * options.rateLimitFactor);
  const socketsOf = new Map<string, number>();
  const contexts = new Set<Context>();
  const graphql = useServer(
    {
      ...config,
      async onSubscribe(context, id, payload) {
        if (Object.keys(context.subscriptions).length > MAX_OPERATIONS) {
          return [tooMany(`${MAX_OPERATIONS} operations at once are allowed on a connection.`)];
        }
        return config.onSubscribe?.(context, id, payload);
      },
      async subscribe(args) {
        const results = (await config.subscribe?.(args)) as Awaited<OperationResult>;
        const { demand } = args.contextValue as Grafast.Context;
        return Symbol.asyncIterator in results ? onDemand(results, demand) : results;
      },
      connectionInitWaitTimeout: 10_000,
      onConnect: async (context: Context<Record<string, unknown>, Extra>) => {
        const { connectionParams, extra } = context;
        contexts.add(context);
        extra.socket.once("close", () => contexts.delete(context));
        try {
          const identity = accessTokens.authenticate(authorizationOf(connectionParams));
          const owner =
            identity.userId === undefined
              ? clientAddress(extra.request, options.trustProxy)
              : `user ${identity.userId}`;
          if (!countSocket(socketsOf, owner, extra.socket, maxSockets)) {
            // 1013, try again later: it is not the token's fault.
            extra.socket.close(1013, `${maxSockets} connections at once are allowed.`);
            return true;
          }
          // Watched before it is asked about: an end between the two is not missed.
          closeWithSession(extra.socket, identity, options);
          if (identity.sessionId !== undefined) await verifySession(pool, identity.settings);
          return true;
        } catch {
          // Whatever the reason, nobody gets in whose token is not known to be good.
          return false;
        }
      },
    },
    webSockets,
    12_000,
  );

  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { origin } = request.headers;
    if (request.url?.split("?")[0] !== "/graphql") return refuse(socket, "404 Not Found");
    if (origin !== undefined && !allowedOrigins.includes(origin)) {
      return refuse(socket, "403 Forbidden");
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSockets.emit("connection", webSocket, request);
    });
  };
  server.on("upgrade", upgrade);
  return {
    sockets: () => webSockets.clients.size,
    operations: () =>
      [...contexts].reduce((sum, { subscriptions }) => sum + Object.keys(subscriptions).length, 0),
    async close() {
      server.off("upgrade", upgrade);
      // graphql-ws closes its sockets with 1001, going away.
      await graphql.dispose();
    },
  };
}

/** The same results; the source hears of each that is asked for. */
function onDemand<T>(results: AsyncIterable<T>, demand: Demand): AsyncIterableIterator<T> {
  const source = results[Symbol.asyncIterator]();
  const iterator: AsyncIterableIterator<T> = {
    [Symbol.asyncIterator]: () => iterator,
    next() {
      demand.add();
      return source.next();
    },
    return: async (value) =>
      (await source.return?.(value)) ?? { done: true, value: undefined as never },
    throw: async (error) => {
      await source.throw?.(error);
      throw error;
    },
  };
  return iterator;
}

/** Whether there may be one more. */
function countSocket(
  socketsOf: Map<string, number>,
  owner: string,
  socket: Extra["socket"],
  most: number,
): boolean {
  const count = socketsOf.get(owner) ?? 0;
  if (count >= most) return false;
  socketsOf.set(owner, count + 1);
  socket.once("close", () => {
    const left = (socketsOf.get(owner) ?? 1) - 1;
    if (left === 0) socketsOf.delete(owner);
    else socketsOf.set(owner, left);
  });
  return true;
}

function tooMany(message: string): GraphQLError {
  const refusal = new ApiError("TOO_COMPLEX", message);
  return new GraphQLError(message, { extensions: { ...refusal.extensions } });
}

/** As it was sent: what is there and is no bearer token must be refused, not overlooked. */
function authorizationOf(connectionParams: Record<string, unknown> | undefined): unknown {
  const entries = Object.entries(connectionParams ?? {});
  const found = entries.find(([name]) => name.toLowerCase() === "authorization");
  return found?.[1] ?? undefined;
}

/** A socket ends with its token and with its session, whichever is first. */
function closeWithSession(
  socket: Extra["socket"],
  { sessionId, expiresAt, settings }: Identity,
  { liveEvents, pool }: Pick<WebSocketOptions, "liveEvents" | "pool">,
): void {
  if (sessionId === undefined || expiresAt === undefined) return;
  const expiry = setTimeout(
    () => socket.close(4403, "The access token has expired."),
    expiresAt * 1000 - Date.now(),
  );
  let ends = liveEvents.subscribe(`session_ended:${sessionId}`);
  socket.once("close", () => {
    clearTimeout(expiry);
    void ends.return?.();
  });
  const watch = () => {
    ends.next().then(
      ({ done }) => done || socket.close(4403, "This session has ended."),
      // Live events were interrupted: it may have ended meanwhile.
      () => void resume(),
    );
  };
  const resume = async () => {
    await liveEvents.resumed();
    if (socket.readyState !== socket.OPEN) return;
    try {
      ends = liveEvents.subscribe(`session_ended:${sessionId}`);
      watch();
      await verifySession(pool, settings);
    } catch {
      socket.close(4403, "This session has ended.");
    }
  };
  watch();
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
