import { z } from "zod";
import { defineTask } from "../src/tasks/task.ts";

/** Rows a statement: little enough that nobody waits for it. */
const BATCH = 1000;

/** The daily care of what pushes leave: the ledger's months, and devices that are stale. */
export default defineTask(z.unknown(), async (_payload, { pool, stopping, logger }) => {
  const { rows } = await pool.query<{ dropped: number }>(
    "select app_private.keep_ledger() as dropped",
  );
  let stale = 0;
  let disabled = BATCH;
  while (disabled > 0 && !stopping.aborted) {
    const { rows } = await pool.query<{ disabled: number }>(
      "select app_private.disable_stale_devices($1) as disabled",
      [BATCH],
    );
    disabled = rows[0]?.disabled ?? 0;
    stale += disabled;
  }
  logger.info({ droppedMonths: rows[0]?.dropped, staleDevices: stale }, "ledger kept");
});
