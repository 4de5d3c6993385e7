import { z } from "zod";
import { defineTask } from "../src/tasks/task.ts";

/** Looks up who has an identifier, if anybody, and has a link sent to them. */
export default defineTask(
  z.object({ identifier: z.string(), client: z.record(z.string(), z.unknown()) }),
  async ({ identifier, client }, { pool }) => {
    await pool.query("select app_private.start_password_reset($1, $2)", [identifier, client]);
  },
);
