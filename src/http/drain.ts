import cluster from "node:cluster";
import type { Server, ServerResponse } from "node:http";
import { Server as NetServer, type Socket } from "node:net";
import { setTimeout as delay, setImmediate } from "node:timers/promises";

/**
 * How long a connection on which nobody asks anything stays once nobody new is let in, milliseconds. In a
 * rolling restart another process serves already: nobody waits for the end of this one.
 */
const LAST_REQUESTS = cluster.isWorker ? 1000 : 100;

export interface Drain {
  /** From now on each answer ends its connection: who asks again is sent elsewhere by its proxy. */
  begin(): void;
  /**
   * Lets nobody new in, and resolves once the last request is answered; those that are not within so
   * many milliseconds are cut off. Resolves with how many.
   */
  end(patience: number): Promise<number>;
}

/**
 * Stops an HTTP server without a request that gets no answer. `server.close()` alone closes idle
 * connections at once, also those on which the next request is under way already.
 */
export function createDrain(server: Server): Drain {
  const sockets = new Set<Socket>();
  const responses = new Set<ServerResponse>();
  let draining = false;
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.prependListener("request", (_request, response: ServerResponse) => {
    responses.add(response);
    response.once("close", () => responses.delete(response));
    if (draining) response.shouldKeepAlive = false;
  });
  const upgraded = new WeakSet<Socket>();
  server.prependListener("upgrade", (_request, socket) => upgraded.add(socket as Socket));

  return {
    begin() {
      draining = true;
      for (const response of responses) response.shouldKeepAlive = false;
    },
    async end(patience) {
      const began = performance.now();
      this.begin();
      // Between two turns of the event loop: what has connected before is let in.
      await setImmediate();
      const closed = new Promise<void>((resolve) => {
        NetServer.prototype.close.call(server, () => resolve());
      });
      await Promise.race([closed, delay(LAST_REQUESTS, undefined, { ref: false })]);
      const busy = new Set([...responses].map(({ socket }) => socket));
      for (const socket of sockets) {
        if (!busy.has(socket) && !upgraded.has(socket)) socket.destroy();
      }
      const left = Math.max(0, patience - (performance.now() - began));
      await Promise.race([closed, delay(left, undefined, { ref: false })]);
      const cutOff = responses.size;
      for (const socket of sockets) socket.destroy();
      await closed;
      return cutOff;
    },
  };
}
