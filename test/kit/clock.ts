import { readFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { onTestFinished, vi } from "vitest";
import type { TestDatabase } from "../support/database.ts";

const read = (file: string) => readFile(join(import.meta.dirname, file), "utf8");

/** By the name of their database: which have a clock that can be frozen. */
const clocks = new Set<string>();

/**
 * Stops the clock until the test is over, or is set again: `now()`, `transaction_timestamp()`,
 * `statement_timestamp()` and `clock_timestamp()` for all connections to this database, in policies,
 * defaults and functions alike; and `Date` in this process, so for access tokens and the API
 * that a test starts. Not for keywords such as `current_date`, and not for timers.
 * @throws where the schema reads the clock in a way that would go on
 */
export async function freezeTime(database: TestDatabase, at: Date | string): Promise<void> {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) throw new TypeError(`${at} is no time.`);
  await withSuperuser(database, async (client) => {
    if (!clocks.has(database.name)) {
      await client.query(`begin; ${await read("clock.sql")} commit;`);
      clocks.add(database.name);
    }
    const { rows } = await client.query(await read("unfreezable.sql"));
    if (rows.length > 0) {
      throw new Error(
        `Time cannot be frozen. Write now() instead of ${rows
          .map(({ keyword, object }) => `${keyword} in ${object}`)
          .join(", ")}.`,
      );
    }
    onTestFinished(() => thaw(database));
    await client.query("update test_clock.clock set frozen_at = $1", [time.toISOString()]);
    vi.setSystemTime(time);
  });
}

async function thaw(database: TestDatabase): Promise<void> {
  vi.useRealTimers();
  try {
    await withSuperuser(database, (client) =>
      client.query("update test_clock.clock set frozen_at = null"),
    );
  } catch (error) {
    // The test has dropped its database, and with it the clock.
    if ((error as { code?: string }).code !== "3D000") throw error;
  }
}

async function withSuperuser<T>(
  database: TestDatabase,
  act: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: database.superuserUrl });
  await client.connect();
  try {
    return await act(client);
  } finally {
    await client.end();
  }
}
