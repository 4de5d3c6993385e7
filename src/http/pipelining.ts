import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * Requests of one connection that wait for their answers at most. Browsers and HTTP clients send the next one
 * when they have the last one's answer; Node.js takes all that came at once in one turn of its event loop.
 */
const MOST = 20;

/** Closes a connection on which more requests are sent at once (pipelining, RFC 9112, 9.3.2). */
export function withoutFloods(
  listener: (request: IncomingMessage, response: ServerResponse) => void,
) {
  const waiting = new WeakMap<Socket, number>();
  return (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    // What was read together with the one that was too many.
    if (socket.destroyed) return;
    const count = (waiting.get(socket) ?? 0) + 1;
    if (count > MOST) {
      socket.destroy();
      return;
    }
    waiting.set(socket, count);
    response.once("close", () => waiting.set(socket, (waiting.get(socket) ?? 1) - 1));
    listener(request, response);
  };
}
