import { type Config, ConfigError, loadConfig } from "../../src/config.ts";
import { HistoryError } from "../../src/database/committed.ts";
import { MigrationFault } from "../../src/development/current-file.ts";
import { startFault } from "../../src/processes/run.ts";
import { DatabaseCommandError, refuseInProduction } from "./databases.ts";

type Run = (config: Config, args: string[]) => Promise<void>;

/** Loaded when they are needed: production has no development dependencies. */
const COMMANDS: Readonly<Record<string, { isDevelopment: boolean; load: () => Promise<Run> }>> = {
  check: { isDevelopment: true, load: async () => (await import("./check.ts")).check },
  commit: { isDevelopment: true, load: async () => (await import("./commit.ts")).commit },
  uncommit: { isDevelopment: true, load: async () => (await import("./uncommit.ts")).uncommit },
  reset: { isDevelopment: false, load: async () => (await import("./reset.ts")).reset },
  status: { isDevelopment: false, load: async () => (await import("./status.ts")).status },
};

/** `npm run db:commit`, `db:uncommit`, `db:reset`, `db:status`, `db:check`: exit 1 with a line that says why not. */
export async function main(): Promise<void> {
  const [name = "", ...args] = process.argv.slice(2);
  const command = COMMANDS[name];
  if (!command) throw new Error(`There is no command db:${name}.`);
  try {
    const config = loadConfig("howdah", process.env);
    try {
      if (command.isDevelopment) refuseInProduction(config, `db:${name}`);
      await (await command.load())(config, args);
    } catch (error) {
      const isTold = [DatabaseCommandError, HistoryError, MigrationFault].some(
        (kind) => error instanceof kind,
      );
      console.error(isTold ? (error as Error).message : startFault(error, config));
      process.exitCode = 1;
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
