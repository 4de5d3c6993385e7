import { resolve } from "node:path";
import type { Config } from "../config.ts";
import { openConnections } from "../database/connections.ts";
import { freePort } from "../database/embedded/port.ts";
import { migrateDatabase, migrateSettings } from "../database/migrate.ts";
import { runProcess } from "../processes/run.ts";
import { announce, startEmulatorIfNeeded, welcome } from "../processes/welcome.ts";
import { makeCurrent } from "./current-file.ts";
import { createLoop } from "./loop.ts";
import { createPart } from "./parts.ts";
import { watchFiles } from "./watch-files.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** What this process holds itself: a change there needs a new start. */
const HELD = /^src\/(development|database\/embedded|push\/emulator)\//;

/**
 * `npm run dev`: as `npm start`, and follows the files. The embedded PostgreSQL and the FCM emulator
 * are in this process; API and worker are processes of their own, which can be replaced.
 */
export function main(): Promise<void> {
  return runProcess("start", async (config, logger) => {
    await using stack = new AsyncDisposableStack();
    const connections = await openConnections(config);
    stack.defer(() => connections.stop());
    const databaseUrl = connections.ownerUrl;
    if (databaseUrl === undefined) throw new Error("DATABASE_URL must be set.");
    const { authenticatorPassword } = connections;
    await migrateDatabase({ databaseUrl, authenticatorPassword, logger });
    const { blankMigrationContent = "" } = await migrateSettings(databaseUrl, logger);
    await makeCurrent(ROOT, blankMigrationContent);
    const emulator = await startEmulatorIfNeeded(config);
    if (emulator) stack.defer(() => emulator.close());

    const environment = await partEnvironment(config, emulator?.host);
    const api = createPart("api", environment);
    const worker = createPart("worker", environment);
    stack.defer(async () => {
      await Promise.all([api.stop(), worker.stop()]);
    });
    const loop = createLoop({
      root: ROOT,
      databaseUrl,
      api,
      worker,
      onUp: (up, { opsUrl }) =>
        announce(config, up.url, { api: up.opsUrl, worker: opsUrl }, emulator),
      onAnotherDatabase: () => void welcome(databaseUrl, emulator, logger),
    });
    stack.defer(() => loop.stop());
    const follow = (paths: Iterable<string>) => {
      const all = [...paths];
      const held = all.filter((path) => HELD.test(path));
      if (held.length > 0) console.log(`${held.join(", ")}: start npm run dev again to have it`);
      void loop.changed(all.filter((path) => !HELD.test(path)));
    };
    // From before current.sql is read: what is saved while the first API starts comes after it.
    const early = new Set<string>();
    let isUp = false;
    const watcher = watchFiles(ROOT, ["migrations", "src", "tasks"], (paths) => {
      if (isUp) follow(paths);
      else for (const path of paths) early.add(path);
    });
    stack.defer(() => watcher.stop());
    await loop.start();
    await welcome(databaseUrl, emulator, logger);
    console.log("Watching migrations/, src/ and tasks/.");
    isUp = true;
    if (early.size > 0) follow(early);
    const disposables = stack.move();
    return { stop: () => disposables.disposeAsync() };
  });
}

/** Ports that are given at random have to be the same for the next process as well. */
async function partEnvironment(
  config: Config,
  emulatorHost: string | undefined,
): Promise<Record<string, string>> {
  const port = async (given: number) => String(given === 0 ? await freePort(0) : given);
  return {
    PORT: await port(config.api.port),
    OPS_PORT: await port(config.api.opsPort),
    WORKER_OPS_PORT: await port(config.worker.opsPort),
    PUBLIC_URL: config.publicUrl,
    ...(emulatorHost === undefined ? {} : { FCM_EMULATOR_HOST: emulatorHost }),
  };
}
