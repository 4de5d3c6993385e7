import { z } from "zod";
import { NOTICES, noticeMail, noticeSms } from "../src/messages/notices.ts";
import { defineTask } from "../src/tasks/task.ts";

/** Tells a user of a change to their account, at the address that they had when it was made. */
export default defineTask(
  z.object({ userId: z.int(), notice: z.enum(NOTICES), to: z.string() }),
  async ({ userId, notice, to }, { pool, sendMail, sendSms }) => {
    const { rows } = await pool.query<{ first_name: string }>(
      "select first_name from app_public.users where id = $1 and deleted_at is null",
      [userId],
    );
    const [user] = rows;
    if (!user) return;
    if (to.includes("@")) await sendMail({ to, ...noticeMail(notice, user.first_name) });
    else await sendSms({ to, ...noticeSms(notice) });
  },
);
