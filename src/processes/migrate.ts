import { ConfigError, loadConfig } from "../config.ts";
import { openConnections } from "../database/connections.ts";
import { migrateDatabase } from "../database/migrate.ts";
import { createLogger } from "../logger.ts";
import { startFault } from "./run.ts";

/** `npm run migrate`: exit 0 when the database has the newest schema, 1 when it has not. */
export async function main(): Promise<void> {
  try {
    const config = loadConfig("migrate", process.env);
    const logger = createLogger({ pretty: false });
    try {
      const connections = await openConnections(config);
      try {
        if (connections.ownerUrl === undefined) throw new Error("DATABASE_URL must be set.");
        await migrateDatabase({
          databaseUrl: connections.ownerUrl,
          authenticatorPassword: connections.authenticatorPassword,
          logger,
        });
      } finally {
        await connections.stop();
      }
      console.log("The database has the newest schema.");
    } catch (error) {
      console.error(`howdah migrate failed: ${startFault(error, config)}`);
      process.exitCode = 1;
    }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
