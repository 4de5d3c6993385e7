import type { IncomingMessage } from "node:http";
import { CloseCode, type Server } from "graphql-ws";
import pLimit, { type LimitFunction } from "p-limit";
import type { Logger } from "pino";
import type { WebSocket } from "ws";
import { LARGE_ANSWER } from "./answer-size.ts";

/** One client of graphql-transport-ws. */
export interface Connection {
  socket: WebSocket;
  request: IncomingMessage;
  /** Whose it is: the address, until it is known to be a user's. */
  owner: string;
  /** Called once it has said who it is. */
  introduced(): void;
  /** Its queries and mutations, so many at once. */
  inTurn: LimitFunction;
  /** Those that are under way. */
  running: Set<Promise<unknown>>;
  /** Resolves once the client has taken what was sent to it, but for little, or is gone. */
  drained(): Promise<void>;
}

/** Queries and mutations of one connection that are executed at once; the others wait for their turn. */
const MAX_EXECUTIONS = 5;

/** Between two pings; who has not answered one by the next is gone. Milliseconds. */
const HEARTBEAT = 12_000;

const PONG = '{"type":"pong"}';

/**
 * Hands the messages of a socket to graphql-ws and its answers back. A client that does not read is not
 * read either: what it has not taken stays small, whatever it goes on to send.
 */
export function openConnection(
  graphql: Server<Connection>,
  {
    socket,
    request,
    owner,
    introduced,
  }: Pick<Connection, "socket" | "request" | "owner" | "introduced">,
  logger: Logger,
): Connection {
  let drains: (() => void)[] = [];
  let isPongUnsent = false;
  const isFull = () => socket.readyState === socket.OPEN && socket.bufferedAmount > LARGE_ANSWER;

  /** Resolves as well where the client is gone: `close` tells that. */
  function send(data: string): Promise<void> {
    if (socket.readyState !== socket.OPEN) return Promise.resolve();
    return new Promise((resolve) => {
      socket.send(data, () => {
        if (!isFull()) drain();
        resolve();
      });
      if (isFull()) socket.pause();
    });
  }
  function drain(): void {
    if (socket.isPaused) socket.resume();
    for (const resolve of drains) resolve();
    drains = [];
  }

  function fail(error: unknown): void {
    logger.error({ error }, "a WebSocket could not be served");
    socket.close(CloseCode.InternalServerError, "Something went wrong on our side.");
  }

  const connection: Connection = {
    socket,
    request,
    owner,
    introduced,
    inTurn: pLimit(MAX_EXECUTIONS),
    running: new Set(),
    drained: () => (isFull() ? new Promise((resolve) => drains.push(resolve)) : Promise.resolve()),
  };
  // A connection that breaks is no fault of this process; ws has closed with the code for what a client did.
  socket.on("error", () => {});
  let isAlive = true;
  const heartbeat = setInterval(() => {
    if (!isAlive) return socket.terminate();
    isAlive = false;
    if (socket.readyState === socket.OPEN) socket.ping();
  }, HEARTBEAT);
  socket.on("pong", () => {
    isAlive = true;
  });
  const closed = graphql.opened(
    {
      protocol: socket.protocol,
      send,
      close: (code, reason) => socket.close(code, reason),
      onMessage(handle) {
        socket.on("message", async (data) => {
          // What this process has closed asks for nothing more.
          if (socket.readyState !== socket.OPEN) return;
          try {
            await handle(String(data));
          } catch (error) {
            fail(error);
          }
        });
      },
      // Without its payload, and one for all that came before it is sent.
      async onPing() {
        if (isPongUnsent) return;
        isPongUnsent = true;
        await send(PONG);
        isPongUnsent = false;
      },
    },
    connection,
  );
  socket.once("close", (code, reason) => {
    clearInterval(heartbeat);
    drain();
    closed(code, String(reason)).catch(fail);
  });
  return connection;
}
