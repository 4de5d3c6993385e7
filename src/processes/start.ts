import { openConnections } from "../database/connections.ts";
import { migrateDatabase } from "../database/migrate.ts";
import { startApi } from "../http/api-server.ts";
import { startWorker } from "../tasks/worker.ts";
import { runProcess } from "./run.ts";
import { announce, consoleDevelopment, startEmulatorIfNeeded, welcome } from "./welcome.ts";

/** `npm start`: everything on this machine, in one process. */
export function main(): Promise<void> {
  return runProcess("start", async (config, logger) => {
    await using stack = new AsyncDisposableStack();
    const connections = await openConnections(config);
    stack.defer(() => connections.stop());
    const databaseUrl = connections.ownerUrl;
    if (databaseUrl === undefined) throw new Error("DATABASE_URL must be set.");
    const { authenticatorPassword } = connections;
    await migrateDatabase({ databaseUrl, authenticatorPassword, logger, current: true });

    const emulator = await startEmulatorIfNeeded(config);
    if (emulator) stack.defer(() => emulator.close());
    const local = emulator ? { ...config, fcmEmulatorHost: emulator.host } : config;
    // Both are waited for even where one fails: what has started must be there to be stopped.
    const [apiStart, workerStart] = await Promise.allSettled([
      startApi({ config: local, connections, logger, development: consoleDevelopment(local) }),
      startWorker({ config: local, databaseUrl, logger }),
    ]);
    for (const started of [workerStart, apiStart]) {
      if (started.status === "fulfilled") stack.defer(() => started.value.stop());
    }
    if (apiStart.status === "rejected") throw apiStart.reason;
    if (workerStart.status === "rejected") throw workerStart.reason;
    const { value: api } = apiStart;
    const { value: worker } = workerStart;
    announce(config, api.url, { api: api.opsUrl, worker: worker.opsUrl }, emulator);
    await welcome(databaseUrl, emulator, logger);
    const disposables = stack.move();
    return { stop: () => disposables.disposeAsync() };
  });
}
