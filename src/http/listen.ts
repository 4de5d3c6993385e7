import type { Server } from "node:net";

/** Listens, or rejects with what went wrong; `server.listen` alone would emit it. */
export function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
