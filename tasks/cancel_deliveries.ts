import { z } from "zod";
import { defineTask } from "../src/tasks/task.ts";

/** Milliseconds after which others have their turn. */
const TURN = 500;

/** Ends what is left of a canceled notification, chunk by chunk. */
export default defineTask(
  z.object({ notificationId: z.int() }),
  async ({ notificationId }, { pool, stopping }) => {
    const end = performance.now() + TURN;
    let more: boolean | null = true;
    while (more && performance.now() < end && !stopping.aborted) {
      const { rows } = await pool.query<{ more: boolean | null }>(
        "select app_private.cancel_deliveries($1) as more",
        [notificationId],
      );
      more = rows[0]?.more ?? null;
    }
    if (more === false) return;
    // null: a fan-out of it is under way.
    await pool.query("select app_private.schedule_cancel($1, now() + make_interval(secs => $2))", [
      notificationId,
      more === null ? 1 : 0,
    ]);
  },
);
