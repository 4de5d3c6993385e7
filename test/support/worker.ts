import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger } from "pino";
import { loadConfig } from "../../src/config.ts";
import { type FcmEmulator, startFcmEmulator } from "../../src/push/emulator/emulator.ts";
import { startWorker } from "../../src/tasks/worker.ts";
import type { TestDatabase } from "./database.ts";
import { searchedLogger } from "./secrets.ts";

export interface TestWorker {
  emulator: FcmEmulator;
  opsUrl: string;
  dataDirectory: string;
  stop(): Promise<void>;
}

/** A real worker with the real firebase-admin, and the emulator where Google would be. */
export async function startTestWorker(
  database: TestDatabase,
  environment: NodeJS.ProcessEnv = {},
  logger: Logger = searchedLogger,
): Promise<TestWorker> {
  const emulator = await startFcmEmulator({ host: "127.0.0.1", port: 0 });
  const dataDirectory = await mkdtemp(join(tmpdir(), "howdah-worker-"));
  const worker = await startWorker({
    config: loadConfig("worker", {
      WORKER_OPS_PORT: "0",
      FCM_EMULATOR_HOST: emulator.host,
      DATA_DIR: dataDirectory,
      // What hangs by a test's wish is waited for no longer than that at its end.
      SHUTDOWN_SECONDS: "3",
      ...environment,
    }),
    databaseUrl: database.ownerUrl,
    logger,
  });
  return {
    emulator,
    opsUrl: worker.opsUrl,
    dataDirectory,
    async stop() {
      await worker.stop();
      await emulator.close();
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
}
