import cluster from "node:cluster";
import { openConnections } from "../database/connections.ts";
import { startApi } from "../http/api-server.ts";
import { type GroupMessage, startApiGroup } from "./api-group.ts";
import { runProcess } from "./run.ts";

/** To the process that began this one: what is missing until it can serve. */
function tell(missing: string | undefined): void {
  process.send?.({ ready: missing ?? null } satisfies GroupMessage);
}

/** `npm run api`. */
export function main(): Promise<void> {
  return runProcess("api", async (config, logger) => {
    await using stack = new AsyncDisposableStack();
    const connections = await openConnections(config);
    stack.defer(() => connections.stop());
    if (config.api.processes > 1 && cluster.isPrimary) {
      const group = await startApiGroup(config, logger);
      stack.defer(() => group.stop());
    } else {
      // Who does not answer that hangs.
      if (cluster.isWorker) {
        process.on("message", (message) => {
          if (message === "ping") process.send?.({ pong: true } satisfies GroupMessage);
        });
      }
      // It must not end this process, wherever it was sent from.
      process.on("SIGUSR2", () => {
        if (cluster.isPrimary) logger.warn("a rolling restart needs API_PROCESSES=2 or more");
      });
      const api = await startApi({
        config,
        connections,
        logger,
        ...(cluster.isWorker ? { onReady: tell } : {}),
      });
      stack.defer(() => api.stop());
      if (cluster.isPrimary) logger.info({ url: api.url, ops: api.opsUrl }, "API ready");
      else process.send?.({ ready: null, url: api.url } satisfies GroupMessage);
    }
    const disposables = stack.move();
    return { stop: () => disposables.disposeAsync() };
  });
}
