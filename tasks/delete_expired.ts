import { z } from "zod";
import { defineTask } from "../src/tasks/task.ts";

/** Rows of each kind a statement: little enough that nobody waits for it. */
const BATCH = 1000;

/** Deletes what has expired, batch by batch; each hour, see src/tasks/crontab.ts. */
export default defineTask(z.unknown(), async (_payload, { pool, stopping, logger }) => {
  let total = 0;
  let deleted = 1;
  while (deleted > 0 && !stopping.aborted) {
    const { rows } = await pool.query<{ deleted: number }>(
      "select app_private.delete_expired($1) + app_private.release_unproven_addresses($1) as deleted",
      [BATCH],
    );
    deleted = rows[0]?.deleted ?? 0;
    total += deleted;
  }
  if (total > 0) logger.info({ rows: total }, "expired rows deleted");
});
