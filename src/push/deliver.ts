import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "pg";
import type { TaskContext } from "../tasks/task.ts";
import { type Address, buildMessage, type Notification } from "./message.ts";
import { SOCKETS, sendMessage } from "./messaging.ts";
import { type Outcome, outcomeOf, timedOut } from "./outcome.ts";

/**
 * How long a batch may take, milliseconds. firebase-admin gives up on a message after 82 s at worst:
 * what has no answer by then is unknown.
 */
const BATCH_BUDGET = 60_000;
/** How long to try to write outcomes, milliseconds; the heartbeat keeps the batch ours meanwhile. */
const RECORD_PATIENCE = 120_000;

interface Claimed {
  fence: number | null;
  notification: Notification;
  deliveries: (Address & { id: number; attempts: number })[];
}

type Context = Pick<
  TaskContext,
  "pool" | "messaging" | "logger" | "workerId" | "batches" | "stopping" | "drained"
>;

/**
 * Claims a batch, sends it and writes all outcomes in one statement. When the worker is to stop,
 * what was not handed to FCM yet goes back, and what was is waited for.
 */
export async function deliverBatch(batchId: number, context: Context): Promise<void> {
  const { pool, logger, workerId, batches } = context;
  // A job that came twice must not send twice.
  if (batches.has(batchId)) return;
  batches.add(batchId);
  try {
    const { rows } = await pool.query<Claimed>(
      "select fence, notification, deliveries from app_private.claim_batch($1, $2)",
      [batchId, workerId],
    );
    const [claimed] = rows;
    if (!claimed || claimed.fence === null) return;
    const outcomes = await send(claimed, context);
    const { recorded, alert } = await record(pool, [
      batchId,
      workerId,
      claimed.fence,
      JSON.stringify(outcomes),
    ]);
    const about = {
      notificationId: claimed.notification.id,
      deliveries: outcomes.length,
      recorded,
    };
    if (alert === null) logger.info(about, "pushes sent");
    else logger.error({ ...about, alert }, ALERTS[alert] ?? "FCM refuses: sending is paused");
  } finally {
    batches.delete(batchId);
  }
}

const ALERTS: Readonly<Record<string, string>> = {
  lost: "another worker has taken this batch over",
  circuit_breaker: "suspiciously many addresses seem dead: an operator has to decide",
};

/** One outcome for each delivery; `queued` for those that were not handed to FCM. */
async function send({ notification, deliveries }: Claimed, context: Context) {
  const { messaging, batches, stopping, drained } = context;
  const now = new Date();
  const outcomes = deliveries.map(({ id }): Outcome & { id: number } => ({ id, status: "queued" }));
  let isOver = false;
  let next = 0;

  async function lane(): Promise<void> {
    while (next < deliveries.length && !stopping.aborted && !isOver) {
      const index = next;
      next += 1;
      const delivery = deliveries[index] as Claimed["deliveries"][number];
      const { id, attempts } = delivery;
      outcomes[index] = { id, ...timedOut(attempts) };
      const answered = await sendMessage(messaging, buildMessage(notification, delivery, now));
      if (!isOver) outcomes[index] = { id, ...outcomeOf(answered, attempts) };
    }
  }

  const budget = new AbortController();
  // As many messages at once as there are connections, shared with the other batches.
  const lanes = Array.from(
    { length: Math.min(Math.ceil(SOCKETS / batches.size), deliveries.length) },
    lane,
  );
  await Promise.race([
    Promise.all(lanes),
    delay(BATCH_BUDGET, undefined, { signal: AbortSignal.any([budget.signal, drained]) }).catch(
      () => undefined,
    ),
  ]);
  isOver = true;
  budget.abort();
  return outcomes;
}

/**
 * Writes the outcomes, whatever it takes: what FCM has accepted and the ledger does not know would
 * be sent again.
 */
async function record(
  pool: Pool,
  values: unknown[],
): Promise<{ recorded: number; alert: string | null }> {
  const deadline = Date.now() + RECORD_PATIENCE;
  for (let pause = 100; ; pause = Math.min(pause * 2, 2000)) {
    try {
      const { rows } = await pool.query<{ recorded: number; alert: string | null }>(
        "select recorded, alert from app_private.record_batch($1, $2, $3, $4::jsonb)",
        values,
      );
      return rows[0] ?? { recorded: 0, alert: null };
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
