import { z } from "zod";
import { defineTask } from "../src/tasks/task.ts";

/** Users a statement: large enough to be quick, small enough to let others at the tables. */
const CHUNK = 5000;

/** Writes the inbox rows and deliveries of who is due, chunk by chunk; SQL remembers where it is. */
export default defineTask(
  z.object({ notificationId: z.int() }),
  async ({ notificationId }, { pool, stopping }) => {
    let more = true;
    while (more) {
      if (stopping.aborted) throw new Error("The worker stops: another one goes on with this.");
      const { rows } = await pool.query<{ more: boolean }>(
        "select has_more as more from app_private.fan_out_notification($1, $2)",
        [notificationId, CHUNK],
      );
      more = rows[0]?.more ?? false;
    }
  },
);
