import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import { withUser } from "../../src/database/connections.ts";
import { TEST_PASSWORD } from "./global-setup.ts";
import { queryOnce } from "./query-once.ts";
import { expectNoSecrets } from "./secrets.ts";

export interface TestDatabase {
  name: string;
  superuserUrl: string;
  ownerUrl: string;
  authenticatorUrl: string;
  /** As the owner, who sees everything: for set-up, and for the look that proves a row is there. */
  owner: pg.Pool;
  /** Looks first for secrets in it and in the logs. */
  drop(): Promise<void>;
}

/** A database of this test file's own, cloned from the migrated template. */
export async function createTestDatabase(
  options: { tablespace?: string } = {},
): Promise<TestDatabase> {
  const superuserUrl = inject("superuserUrl");
  const name = `test_${randomBytes(6).toString("hex")}`;
  await asSuperuser(
    `create database ${name} template howdah_template strategy file_copy owner howdah_owner
     tablespace ${options.tablespace ?? "pg_default"}`,
  );
  const url = new URL(superuserUrl);
  url.pathname = `/${name}`;
  const ownerUrl = withUser(url.href, "howdah_owner", TEST_PASSWORD);
  const owner = new pg.Pool({ connectionString: ownerUrl, max: 4 });
  owner.on("error", () => {
    // `drop` ends it.
  });
  return {
    name,
    superuserUrl: url.href,
    ownerUrl,
    authenticatorUrl: withUser(url.href, "howdah_authenticator", TEST_PASSWORD),
    owner,
    async drop() {
      await owner.end();
      try {
        await expectNoSecrets(url.href);
      } finally {
        await asSuperuser(`drop database ${name} with (force)`);
      }
    },
  };
}

/** One statement in the cluster, outside of any test database. */
export async function asSuperuser(statement: string): Promise<void> {
  await queryOnce(inject("superuserUrl"), statement);
}
