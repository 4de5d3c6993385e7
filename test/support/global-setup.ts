import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import type { TestProject } from "vitest/node";
import { ensureOwner, withUser } from "../../src/database/connections.ts";
import { startEmbeddedCluster } from "../../src/database/embedded/cluster.ts";
import { migrateDatabase } from "../../src/database/migrate.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Of the suite's own cluster. */
    superuserUrl: string;
  }
}

/** Known, because the cluster is thrown away and listens on loopback only. */
export const TEST_PASSWORD = "test";

/** One cluster for the suite, and one migrated database that every test file gets a clone of. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDirectory = await mkdtemp(join(tmpdir(), "howdah-test-"));
  await chmod(dataDirectory, 0o755);
  const cluster = await startEmbeddedCluster({
    dataDirectory,
    settings: { fsync: "off", synchronous_commit: "off", full_page_writes: "off" },
  });
  const superuserUrl = cluster.superuserUrl();
  await ensureOwner(superuserUrl, TEST_PASSWORD);
  await migrateDatabase({
    databaseUrl: withUser(cluster.superuserUrl("howdah"), "howdah_owner", TEST_PASSWORD),
    authenticatorPassword: TEST_PASSWORD,
    logger: pino({ level: "silent" }),
  });
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  await client.query("alter database howdah rename to howdah_template");
  await client.end();
  project.provide("superuserUrl", superuserUrl);
  return async () => {
    await cluster.stop();
    await rm(dataDirectory, { recursive: true, force: true });
  };
}
