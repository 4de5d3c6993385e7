import { createRequire } from "node:module";
import type * as GraphileMigrate from "graphile-migrate";
import pg from "pg";
import { withoutComments } from "./statements.ts";

/*
 * The one way to graphile-migrate: what is loaded past it has not what is put right here. It asks
 * pg-minify whether current.sql is empty, or as it was. pg-minify knows no dollar quotes and no
 * backslash that is none: it refuses $$it's$$ and 'C:\', and does not see a change of blanks within
 * $$…$$. So something else answers.
 */
const require = createRequire(import.meta.url);
const requireOfIts = createRequire(require.resolve("graphile-migrate"));
substitute("pg-minify", withoutComments);

/** Those that have a connection now. */
const clients = new Set<pg.PoolClient>();

/**
 * Its connections. They may be cut while it uses them, by the migration itself or with the database:
 * that fails the query, and is no reason to end the process, as it would be without a listener.
 */
class Pool extends pg.Pool {
  constructor(config: pg.PoolConfig) {
    super(config);
    super.on("connect", (client) => {
      clients.add(client);
      client.on("error", () => {});
    });
    super.on("remove", (client) => clients.delete(client));
  }

  // graphile-migrate's own listener ends the process.
  override on(event: string, listener: (...args: never[]) => void): this {
    return super.on(event as "error", event === "error" ? () => {} : (listener as () => void));
  }
}
const restorePg = substitute("pg", { ...pg, Pool });

export const { commit, Logger, migrate, run, uncommit, watch } =
  require("graphile-migrate") as typeof GraphileMigrate;
export const { clearAllPools } =
  require("graphile-migrate/dist/pgReal.js") as typeof import("graphile-migrate/dist/pgReal.js");
export const { calculateHash } =
  require("graphile-migrate/dist/hash.js") as typeof import("graphile-migrate/dist/hash.js");
export const { isNoTransactionDefined } =
  require("graphile-migrate/dist/header.js") as typeof import("graphile-migrate/dist/header.js");
export const { getAllMigrations } =
  require("graphile-migrate/dist/migration.js") as typeof import("graphile-migrate/dist/migration.js");
export const { parseSettings } =
  require("graphile-migrate/dist/settings.js") as typeof import("graphile-migrate/dist/settings.js");
restorePg();

/** Ends what it runs at this moment: its queries fail. */
export async function cancelQueries(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on("error", () => {});
  try {
    await client.connect();
    const pids = [...clients].map((one) => (one as unknown as { processID: number }).processID);
    await client.query("select pg_cancel_backend(pid) from unnest($1::int[]) as pid", [pids]);
  } finally {
    await client.end();
  }
}

/** Gives graphile-migrate another module than it asks for. @returns what undoes that for those who ask later */
function substitute(name: string, exports: unknown): () => void {
  const path = requireOfIts.resolve(name);
  const original = requireOfIts(name);
  const module = require.cache[path] as NodeJS.Module;
  module.exports = exports;
  return () => {
    module.exports = original;
  };
}
