import { z } from "zod";
import { hashOpaqueToken, newOpaqueToken } from "../src/auth/opaque-tokens.ts";
import { hashCode, newCode } from "../src/auth/proofs.ts";
import {
  passwordResetMail,
  passwordResetSms,
  verificationMail,
  verificationSms,
} from "../src/messages/proofs.ts";
import { defineTask } from "../src/tasks/task.ts";

/**
 * Makes a link or code, stores its hash and sends it. Run again, it makes another one, and the one
 * before is void: nothing that works is ever sent twice.
 */
export default defineTask(
  z.object({
    userId: z.int(),
    purpose: z.enum(["email_verification", "phone_verification", "password_reset"]),
  }),
  async ({ userId, purpose }, { pool, sendMail, sendSms, publicUrl, codeKey }) => {
    const isCode = purpose === "phone_verification";
    const secret = isCode ? newCode() : newOpaqueToken();
    const hash = isCode ? hashCode(secret, userId, codeKey) : hashOpaqueToken(secret);
    const { rows } = await pool.query<{ target: string | null; first_name: string }>(
      "select target, first_name from app_private.arm_proof($1, $2, $3)",
      [userId, purpose, hash],
    );
    const [row] = rows;
    // Nobody waits for it any more: used, deleted, or the account is closed.
    if (!row || row.target === null) return;
    const { target: to, first_name: firstName } = row;
    const byMail = to.includes("@");
    if (isCode) await sendSms({ to, ...verificationSms(secret) });
    else if (purpose === "email_verification") {
      await sendMail({ to, ...verificationMail({ firstName, publicUrl, token: secret }) });
    } else if (byMail) {
      await sendMail({ to, ...passwordResetMail({ firstName, publicUrl, token: secret }) });
    } else await sendSms({ to, ...passwordResetSms({ publicUrl, token: secret }) });
  },
);
