import { setTimeout as delay } from "node:timers/promises";
import type { Messaging, SendResponse } from "firebase-admin/messaging";
import type { Pool } from "pg";
import type { TaskContext } from "../tasks/task.ts";
import { type Address, buildMessage, type Notification } from "./message.ts";
import { outcomeOf } from "./outcome.ts";

/** As many as firebase-admin's sendEach takes. */
const BATCH = 500;
/** A worker that has not written its outcomes by then is dead, and another may take over. */
const LEASE = "2 minutes";
/** How long to try to write outcomes, milliseconds: sending has had its share of the lease. */
const RECORD_PATIENCE = 30_000;

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

  const responses = await send(messaging, notification, deliveries);
  const outcomes = deliveries.map(({ id, attempts }, index) => ({
    id,
    attempts,
    ...outcomeOf(responses[index], attempts),
  }));
  const recorded = await record(pool, outcomes);
  logger.info({ notificationId, deliveries: deliveries.length, recorded }, "pushes sent");
  return true;
}

/** One answer for each delivery, also where none could be sent at all. */
async function send(
  messaging: Messaging,
  notification: Notification,
  deliveries: Address[],
): Promise<Pick<SendResponse, "success" | "messageId" | "error">[]> {
  const now = new Date();
  try {
    const { responses } = await messaging.sendEach(
      deliveries.map((address) => buildMessage(notification, address, now)),
    );
    return responses;
  } catch (error) {
    return deliveries.map(() => ({ success: false, error: error as SendResponse["error"] }));
  }
}

/**
 * Writes the outcomes, whatever it takes: what FCM has accepted and the ledger does not know would
 * be sent again. Gives up when the lease is about to run out.
 */
async function record(pool: Pool, outcomes: object[]): Promise<number> {
  const deadline = Date.now() + RECORD_PATIENCE;
  for (let pause = 100; ; pause = Math.min(pause * 2, 5000)) {
    try {
      const { rows } = await pool.query<{ count: number }>(
        "select app_private.record_deliveries($1::jsonb) as count",
        [JSON.stringify(outcomes)],
      );
      return rows[0]?.count ?? 0;
    } catch (error) {
      if (!isPassing(error) || Date.now() + pause > deadline) throw error;
      await delay(pause);
    }
  }
}

/** A deadlock or a serialization failure, or a database that is away for the moment. */
function isPassing(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return (
    /^(40|57P|08|E)/.test(code ?? "") ||
    /Connection terminated|timeout exceeded when trying to connect/.test(message ?? "")
  );
}
