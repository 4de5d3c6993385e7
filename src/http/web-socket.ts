import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import type { Context } from "graphql-ws";
import { type Extra, useServer } from "graphql-ws/use/ws";
import type { Pool } from "pg";
import { type GrafservBase, makeGraphQLWSConfig } from "postgraphile/grafserv";
import { WebSocketServer } from "ws";
import type { AccessTokens, Identity } from "../auth/access-tokens.ts";
import { verifySession } from "../database/adaptor.ts";
import type { LiveEvents } from "../graphql/live-events.ts";
import { MAX_REQUEST_LENGTH } from "../graphql/preset.ts";

export interface WebSocketOptions {
  server: Server;
  grafserv: GrafservBase;
  accessTokens: AccessTokens;
  pool: Pool;
  liveEvents: LiveEvents;
  /** Origins that a browser may connect from; a client without an Origin is no browser. */
  allowedOrigins: string[];
}

/**
 * GraphQL over WebSocket (`graphql-transport-ws`) on /graphql. The token comes in
 * connectionParams; a bad one, or one of a session that has ended, closes with 4403.
 */
export function serveWebSockets(options: WebSocketOptions): { close(): Promise<void> } {
  const { server, grafserv, accessTokens, pool, allowedOrigins } = options;
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_REQUEST_LENGTH,
    handleProtocols: (protocols) =>
      protocols.has("graphql-transport-ws") ? "graphql-transport-ws" : false,
  });
  const graphql = useServer(
    {
      ...makeGraphQLWSConfig(grafserv),
      connectionInitWaitTimeout: 10_000,
      onConnect: async ({ connectionParams, extra }: Context<Record<string, unknown>, Extra>) => {
        try {
          const identity = accessTokens.authenticate(authorizationOf(connectionParams));
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
    async close() {
      server.off("upgrade", upgrade);
      // graphql-ws closes its sockets with 1001, going away.
      await graphql.dispose();
    },
  };
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
