import pg from "pg";
import type { TestProject } from "vitest/node";
import { createThrowawayDatabase } from "../../src/database/throwaway.ts";
import { keepPayloads } from "./secrets.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Of the suite's own cluster. */
    superuserUrl: string;
  }
}

/** Known, because the cluster is thrown away and listens on loopback only. */
export const TEST_PASSWORD = "test";

/**
 * One cluster for the suite, and one database with all migrations, current.sql as well, that every
 * test file gets a clone of.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { superuserUrl, drop } = await createThrowawayDatabase(TEST_PASSWORD, {
    current: true,
    settings: {
      // It would look at some 200 databases in turn, which are gone before it helps.
      autovacuum: "off",
      // Workers that read for others are no gain where all is in memory.
      io_method: "sync",
    },
  });
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  await client.query("alter database howdah rename to howdah_template");
  await client.end();
  const template = new URL(superuserUrl);
  template.pathname = "/howdah_template";
  await keepPayloads(template.href);
  project.provide("superuserUrl", superuserUrl);
  return drop;
}
