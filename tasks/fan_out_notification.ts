import { z } from "zod";
import { defineTask } from "../src/tasks/task.ts";

/** Users a statement: large enough to be quick, small enough to let others at the tables. */
const CHUNK = 5000;

/** Writes the inbox rows and deliveries of a notification, chunk by chunk; SQL remembers where it is. */
export default defineTask(
  z.object({ notificationId: z.int() }),
  async ({ notificationId }, { pool }) => {
    let more = true;
    while (more) {
      const { rows } = await pool.query<{ more: boolean }>(
        "select app_private.fan_out_notification($1, $2) as more",
        [notificationId, CHUNK],
      );
      more = rows[0]?.more ?? false;
    }
  },
);
