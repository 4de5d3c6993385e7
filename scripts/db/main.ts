import { ConfigError, loadConfig } from "../../src/config.ts";
import { HistoryError } from "../../src/database/committed.ts";
import { MigrationFault } from "../../src/development/current-migration.ts";
import { startFault } from "../../src/processes/run.ts";
import { check } from "./check.ts";
import { commit } from "./commit.ts";
import { DatabaseCommandError } from "./databases.ts";
import { reset } from "./reset.ts";
import { status } from "./status.ts";
import { uncommit } from "./uncommit.ts";

const COMMANDS = { check, commit, uncommit, reset, status } as const;

/** `npm run db:commit`, `db:uncommit`, `db:reset`, `db:status`, `db:check`: exit 1 with a line that says why not. */
export async function main(): Promise<void> {
  const [name, ...args] = process.argv.slice(2);
  try {
    const config = loadConfig("howdah", process.env);
    try {
      await COMMANDS[name as keyof typeof COMMANDS](config, args);
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
