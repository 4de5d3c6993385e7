import { watch as watchFile } from "node:fs";
import { resolve } from "node:path";
import { watch } from "graphile-migrate";
import { clearAllPools } from "graphile-migrate/dist/pgReal.js";
import type { Logger } from "pino";
import { migrateSettings, syncLiveTriggers } from "./migrate.ts";

const MIGRATIONS = resolve(import.meta.dirname, "../../migrations");
/** Editors write a file in several steps: one run for what comes within this, milliseconds. */
const SETTLE = 50;

/** Applies migrations/current.sql now and at each save; a failing statement leaves the last schema. */
export async function watchCurrentMigration(
  databaseUrl: string,
  logger: Logger,
): Promise<{ stop(): void }> {
  // What fails is shown below, with line and caret; once is enough.
  const settings = await migrateSettings(databaseUrl, logger.child({}, { level: "silent" }));
  let running: Promise<void> | undefined;
  let again = false;

  async function apply(): Promise<void> {
    try {
      await watch(settings, true);
      await syncLiveTriggers(databaseUrl);
      console.log("migrations/current.sql is applied");
    } catch (error) {
      const shown = (error as { _gmMessageOverride?: string })._gmMessageOverride;
      console.error(shown ?? `migrations/current.sql failed: ${(error as Error).message}`);
    } finally {
      clearAllPools();
    }
    if (again) {
      again = false;
      await apply();
    }
  }

  function request(): void {
    if (running) {
      again = true;
      return;
    }
    running = apply().finally(() => {
      running = undefined;
    });
  }

  request();
  await running;
  let timer: NodeJS.Timeout | undefined;
  // The folder, not the file: editors replace a file by renaming another over it.
  const watcher = watchFile(MIGRATIONS, (_event, name) => {
    if (name !== "current.sql") return;
    clearTimeout(timer);
    timer = setTimeout(request, SETTLE);
  });
  return {
    stop() {
      clearTimeout(timer);
      watcher.close();
    },
  };
}
