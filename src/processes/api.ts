import { openConnections } from "../database/connections.ts";
import { startApi } from "../http/api-server.ts";
import { runProcess } from "./run.ts";

/** `npm run api`. */
export function main(): Promise<void> {
  return runProcess("api", async (config, logger) => {
    await using stack = new AsyncDisposableStack();
    const connections = await openConnections(config);
    stack.defer(() => connections.stop());
    const api = await startApi({ config, connections, logger });
    stack.defer(() => api.stop());
    logger.info({ url: api.url, ops: api.opsUrl }, "API ready");
    const disposables = stack.move();
    return { stop: () => disposables.disposeAsync() };
  });
}
