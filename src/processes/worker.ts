import { openConnections } from "../database/connections.ts";
import { startWorker } from "../tasks/worker.ts";
import { runProcess } from "./run.ts";

/** `npm run worker`. */
export function main(): Promise<void> {
  return runProcess("worker", async (config, logger) => {
    await using stack = new AsyncDisposableStack();
    const connections = await openConnections(config);
    stack.defer(() => connections.stop());
    if (connections.ownerUrl === undefined) throw new Error("DATABASE_URL must be set.");
    const worker = await startWorker({ config, databaseUrl: connections.ownerUrl, logger });
    stack.defer(() => worker.stop());
    logger.info({ ops: worker.opsUrl }, "worker ready");
    const disposables = stack.move();
    return { stop: () => disposables.disposeAsync(), abandon: () => worker.abandon() };
  });
}
