import { runMigrations } from "graphile-worker";

// Called by graphile-migrate in a database that it has just made: the queue's tables.
const [connectionString] = process.argv.slice(2);
await runMigrations({ connectionString: connectionString as string });
