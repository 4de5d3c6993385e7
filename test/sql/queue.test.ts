import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

/** Jobs that wait, all due. */
const JOBS = 20_000;

let database: TestDatabase;
let client: pg.PoolClient;

beforeAll(async () => {
  database = await createTestDatabase();
  client = await database.owner.connect();
  // As a session has it that began when nothing waited: its plans are of then.
  for (let n = 0; n < 10; n += 1) await notify();
  await client.query(
    `select graphile_worker.add_jobs(array_agg(row(
       'fan_out_notification', '{}'::json, null, now(), 25, 'waits:' || n, 0, null)::graphile_worker.job_spec))
     from generate_series(1, $1) n`,
    [JOBS],
  );
});
afterAll(async () => {
  client.release();
  await database.drop();
});

async function notify(): Promise<void> {
  await client.query(
    `with person as (insert into app_public.users (first_name) values ('P') returning id)
     select app_private.notify(array[id], 'e', 'm') from person`,
  );
}

/** Jobs that are looked at in vain until one is found, as graphile-worker asks for one. */
async function passedBy(tasks: string[]): Promise<number> {
  const { rows } = await client.query(
    `explain (analyze, format json)
     select j.id from graphile_worker._private_jobs j
     where j.is_available = true and j.run_at <= now() and j.task_id = any (
       (select array_agg(t.id) from graphile_worker._private_tasks t where t.identifier = any ($1))::int[]
     )
     order by j.priority, j.run_at limit 1 for update skip locked`,
    [tasks],
  );
  const counts = [...JSON.stringify(rows).matchAll(/"Rows Removed by Filter":(\d+)/g)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

describe("20,000 jobs that wait", () => {
  it("cost a pool of other tasks little, whether there is a job for it or not", async () => {
    await client.query("begin");
    await client.query(
      "insert into graphile_worker._private_tasks (identifier) values ('deliver_pushes')",
    );
    expect(await passedBy(["deliver_pushes"])).toBeLessThan(100);
    await client.query(
      "select graphile_worker.add_job('deliver_pushes', priority := app_private.push_priority(1))",
    );
    expect(await passedBy(["deliver_pushes"])).toBeLessThan(100);
    expect(await passedBy(["fan_out_notification"])).toBeLessThan(100);
    await client.query("rollback");
  });

  it("are not read for one more", async () => {
    await client.query("begin");
    await notify();
    const { rows } = await client.query(
      "select seq_tup_read::int from pg_stat_xact_user_tables where relid = 'graphile_worker._private_jobs'::regclass",
    );
    await client.query("rollback");
    expect(rows[0].seq_tup_read).toBe(0);
  });
});
