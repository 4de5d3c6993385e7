import { z } from "zod";
import { deliverBatch } from "../src/push/deliver.ts";
import { defineTask } from "../src/tasks/task.ts";

/** Sends what is due of a notification, batch by batch, until nothing is left or the worker stops. */
export default defineTask(
  z.object({ notificationId: z.int() }),
  async ({ notificationId }, context) => {
    let sent = true;
    while (sent && !context.stopping.aborted) sent = await deliverBatch(notificationId, context);
    await context.pool.query("select app_private.finish_deliveries($1)", [notificationId]);
  },
);
