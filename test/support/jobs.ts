import { afterAll, beforeAll } from "vitest";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { until } from "./until.ts";
import { startTestWorker, type TestWorker } from "./worker.ts";

/**
 * A database with a worker of its own for a test file; to be called at its top, and to be read once
 * the tests run.
 */
export function useWorker() {
  const used = { run } as {
    database: TestDatabase;
    worker: TestWorker;
    run: typeof run;
  };
  beforeAll(async () => {
    used.database = await createTestDatabase();
    used.worker = await startTestWorker(used.database);
  });
  afterAll(async () => {
    await used.worker.stop();
    await used.database.drop();
  });

  /** Does one job to its end: null where it succeeded, else its error. */
  async function run(task: string, payload: object): Promise<string | null> {
    const { owner } = used.database;
    const { rows } = await owner.query(
      "select (graphile_worker.add_job($1, $2, max_attempts := 1)).id",
      [task, payload],
    );
    const look = async () =>
      (
        await owner.query<{ last_error: string | null }>(
          "select last_error from graphile_worker._private_jobs where id = $1",
          [rows[0].id],
        )
      ).rows[0];
    const left = await until(look, (job) => job === undefined || job.last_error !== null);
    return left?.last_error ?? null;
  }
  return used;
}
