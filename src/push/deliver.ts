import type { TaskContext } from "../tasks/task.ts";
import { type Address, buildMessage, type Notification } from "./message.ts";
import { outcomeOf } from "./outcome.ts";

/** As many as firebase-admin's sendEach takes. */
const BATCH = 500;
/** A worker that has not written its outcomes by then is dead, and another may take over. */
const LEASE = "2 minutes";

interface ClaimedDelivery extends Address {
  id: string;
  attempts: number;
}

/**
 * Claims a batch, sends it and writes all outcomes in one statement, before anything else is
 * claimed. False when nothing was due.
 */
export async function deliverBatch(
  notificationId: number,
  { pool, messaging, logger }: Pick<TaskContext, "pool" | "messaging" | "logger">,
): Promise<boolean> {
  const { rows: deliveries } = await pool.query<ClaimedDelivery>(
    "select id, attempts, token, kind from app_private.claim_deliveries($1, $2, $3::interval)",
    [notificationId, BATCH, LEASE],
  );
  if (deliveries.length === 0) return false;

  const { rows } = await pool.query<Notification>(
    `select id, event, title, message, data, priority, collapse_key, expires_at
     from app_public.notifications where id = $1`,
    [notificationId],
  );
  const [notification] = rows;
  if (!notification) return false;

  const now = new Date();
  const { responses } = await messaging.sendEach(
    deliveries.map((address) => buildMessage(notification, address, now)),
  );
  const outcomes = deliveries.map(({ id, attempts }, index) => ({
    id,
    attempts,
    ...outcomeOf(responses[index], attempts),
  }));
  const { rows: recorded } = await pool.query<{ count: number }>(
    "select app_private.record_deliveries($1::jsonb) as count",
    [JSON.stringify(outcomes)],
  );
  logger.info(
    { notificationId, deliveries: deliveries.length, recorded: recorded[0]?.count },
    "pushes sent",
  );
  return true;
}
