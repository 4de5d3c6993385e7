import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import type { Context } from "graphql-ws";
import { type Extra, useServer } from "graphql-ws/use/ws";
import type { Pool } from "pg";
import {
  type GrafservBase,
  makeGraphQLWSConfig,
  normalizeConnectionParams,
} from "postgraphile/grafserv";
import { WebSocketServer } from "ws";
import type { AccessTokens } from "../auth/access-tokens.ts";
import { verifySession } from "../database/adaptor.ts";
import { MAX_REQUEST_LENGTH } from "../graphql/preset.ts";

export interface WebSocketOptions {
  server: Server;
  grafserv: GrafservBase;
  accessTokens: AccessTokens;
  pool: Pool;
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
      onConnect: async ({ connectionParams }: Context<Record<string, unknown>, Extra>) => {
        try {
          const { authorization } = normalizeConnectionParams(connectionParams) ?? {};
          const { settings } = accessTokens.authenticate(authorization);
          if (settings["jwt.claims.session_id"]) await verifySession(pool, settings);
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

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
