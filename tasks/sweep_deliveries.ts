import { z } from "zod";
import { defineTask } from "../src/tasks/task.ts";

/** Takes up what a dead worker left behind; each minute, see src/tasks/crontab.ts. */
export default defineTask(z.unknown(), async (_payload, { pool, logger }) => {
  const { rows } = await pool.query<{ lost: number }>(
    "select app_private.sweep_deliveries() as lost",
  );
  const lost = rows[0]?.lost ?? 0;
  if (lost > 0) logger.warn({ deliveries: lost }, "a worker died while sending; taken up again");
});
