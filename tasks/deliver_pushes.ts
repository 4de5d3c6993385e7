import { z } from "zod";
import { deliverBatch } from "../src/push/deliver.ts";
import { defineTask } from "../src/tasks/task.ts";

/** Sends one batch; what is tried again is in batches and jobs of its own. */
export default defineTask(z.object({ batchId: z.int() }), async ({ batchId }, context) => {
  if (context.stopping.aborted) throw new Error("The worker stops: another one sends this batch.");
  await deliverBatch(batchId, context);
});
