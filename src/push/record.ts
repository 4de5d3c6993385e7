import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "pg";

/** How long to try to write what the database refuses for a reason of its own, milliseconds. */
const RECORD_PATIENCE = 120_000;

export interface Recorded {
  recorded: number;
  alert: string | null;
  /** The notification is canceled: no more of it is to be sent. */
  canceled: boolean;
}

/**
 * Writes the outcomes, whatever it takes: what FCM has accepted and the ledger does not know would be sent again.
 * While the database is away, for as long as this process lives; the heartbeat keeps the batch ours.
 */
export async function record(pool: Pool, values: unknown[]): Promise<Recorded> {
  const deadline = performance.now() + RECORD_PATIENCE;
  for (let pause = 100; ; pause = Math.min(pause * 2, 2000)) {
    try {
      const { rows } = await pool.query<Recorded>(
        `select r.recorded, r.alert, n.status = 'canceled' as canceled
         from app_private.record_batch($1, $2, $3, $4::jsonb) r, app_public.notifications n where n.id = $5`,
        values,
      );
      // Its row may have been deleted: then the batch is, too.
      return rows[0] ?? { recorded: 0, alert: "lost", canceled: false };
    } catch (error) {
      if (isRefusal(error) && performance.now() + pause > deadline) throw error;
      await delay(pause);
    }
  }
}

/** Of what is written, and not of the moment: waiting does not mend it. Classes of SQLSTATE. */
function isRefusal(error: unknown): boolean {
  return /^(0A|2[1-3]|42|44|P0|HW)/.test((error as { code?: string }).code ?? "");
}
