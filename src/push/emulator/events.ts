import type { ServerResponse } from "node:http";

/** The streams of Server-Sent Events that are open. */
export interface Events {
  /** Opens a stream of everything, or of one phone, beginning with these. */
  open(response: ServerResponse, token: string | undefined, first: object[]): void;
  /** `data` is only made where somebody listens. */
  publish(event: "message" | "refused", token: string, data: () => object): void;
  /** How many are open. */
  size(): number;
  close(): void;
}

/** A reader that lets this much pile up is let go, bytes. */
const MAX_BACKLOG = 4 * 1024 * 1024;

export function createEvents(): Events {
  const streams = new Map<ServerResponse, string | undefined>();
  return {
    open(response, token, first) {
      response.writeHead(200, {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
      });
      // The first bytes tell the reader that nothing is missed from here on.
      response.write(":\n\n");
      for (const data of first) response.write(format("message", data));
      streams.set(response, token);
      response.on("close", () => streams.delete(response));
    },
    publish(event, token, data) {
      if (streams.size === 0) return;
      let line: string | undefined;
      for (const [response, wanted] of streams) {
        if (wanted !== undefined && wanted !== token) continue;
        line ??= format(event, data());
        response.write(line);
        if (response.writableLength > MAX_BACKLOG) response.destroy();
      }
    },
    size: () => streams.size,
    close() {
      for (const response of streams.keys()) response.end();
      streams.clear();
    },
  };
}

function format(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
