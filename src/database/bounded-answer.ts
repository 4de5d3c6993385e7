import type { Socket } from "node:net";
import type { ClientBase } from "pg";
import { answerTooLarge } from "../http/answer-size.ts";

/** What one transaction may read, bytes: one row can be a whole tree, which pg would gather in memory. */
const MAX_READ = 32_000_000;
/** How much each connection had read when its transaction began. */
const readBefore = new WeakMap<Socket, number>();

/**
 * From here on a transaction may read MAX_READ bytes. The connection of one that reads more is ended: nothing else
 * stops PostgreSQL from sending.
 */
export function boundAnswer(client: ClientBase): void {
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  if (!readBefore.has(stream)) {
    stream.on("data", () => {
      if (stream.bytesRead - (readBefore.get(stream) ?? 0) > MAX_READ) {
        stream.destroy(answerTooLarge());
      }
    });
  }
  readBefore.set(stream, stream.bytesRead);
}
