import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "pg";
import type { TaskContext } from "../tasks/task.ts";
import { type Address, buildMessage, type Notification } from "./message.ts";
import { sendMessage } from "./messaging.ts";
import { type Outcome, outcomeOf, timedOut } from "./outcome.ts";

/**
 * How long a batch may take, milliseconds. firebase-admin gives up on a message after 82 s at worst:
 * what has no answer by then is unknown.
 */
const BATCH_BUDGET = 60_000;
/** What has been answered waits this long for the rest of its batch, milliseconds. */
const RECORD_INTERVAL = 1000;
/** How long to try to write outcomes, milliseconds; the heartbeat keeps the batch ours meanwhile. */
const RECORD_PATIENCE = 120_000;

type Delivery = Address & { id: number; attempts: number };
type DeliveryOutcome = Outcome & { id: number };

interface Claimed {
  fence: number | null;
  notification: Notification;
  deliveries: Delivery[];
  platform: string;
  /** How many were in the batch before it was claimed. */
  size: number;
}

type Context = Pick<
  TaskContext,
  | "pool"
  | "messaging"
  | "lanes"
  | "logger"
  | "workerId"
  | "batches"
  | "countPushes"
  | "isFresh"
  | "stopping"
  | "drained"
>;

/**
 * Claims a batch, sends it and writes the outcomes: in one statement where all is answered soon,
 * else by the second. When the worker is to stop, what was not handed to FCM yet goes back, and what
 * was is waited for.
 */
export async function deliverBatch(batchId: number, context: Context): Promise<void> {
  const { pool, logger, workerId, batches, countPushes } = context;
  // A job that came twice must not send twice.
  if (batches.has(batchId)) return;
  batches.add(batchId);
  try {
    const { rows } = await pool.query<Claimed>(
      `select c.fence, c.notification, c.deliveries, b.device_type as platform,
         cardinality(b.delivery_ids) as size
       from app_private.delivery_batches b, app_private.claim_batch($1, $2) c where b.id = $1`,
      [batchId, workerId],
    );
    const [claimed] = rows;
    if (!claimed) return;
    const { platform, size } = claimed;
    const withheld = size - (claimed.deliveries?.length ?? 0);
    if (withheld > 0) countPushes(platform, "withheld", withheld);
    if (claimed.fence === null) return;
    const about = { notificationId: claimed.notification.id, deliveries: 0, recorded: 0 };
    await send(claimed, context, async (outcomes) => {
      const { recorded, alert } = await record(pool, [
        batchId,
        workerId,
        claimed.fence,
        JSON.stringify(outcomes),
      ]);
      about.deliveries += outcomes.length;
      about.recorded += recorded;
      if (alert?.startsWith("devices: ")) {
        // Of one user, or of a few among many: no reason to wake anybody.
        logger.warn({ ...about, alert }, "FCM refuses some devices: they wait");
      } else if (alert !== null) {
        const said = outcomes.find(({ error_code }) => error_code === alert)?.error_message;
        logger.error({ ...about, alert, said }, ALERTS[alert] ?? "FCM refuses: sending is paused");
      }
      if (alert === "lost") return false;
      for (const [status, group] of Object.entries(Object.groupBy(outcomes, (one) => one.status))) {
        const isHeld = alert === "circuit_breaker" && status === "dead_address";
        countPushes(platform, isHeld ? "held" : status, group.length);
      }
      return true;
    });
    logger.info(about, "pushes sent");
  } finally {
    batches.delete(batchId);
  }
}

const ALERTS: Readonly<Record<string, string>> = {
  lost: "another worker has taken this batch over",
  circuit_breaker: "suspiciously many addresses seem dead: an operator has to decide",
};

/** Sends; `write` gets the outcome of each delivery once, and says whether the batch is still ours. */
async function send(
  { notification, deliveries }: Claimed,
  { messaging, lanes, isFresh, stopping, drained }: Context,
  write: (outcomes: DeliveryOutcome[]) => Promise<boolean>,
): Promise<void> {
  const now = new Date();
  const inFlight = new Set<Delivery>();
  const unsent = new Set(deliveries);
  let answered: DeliveryOutcome[] = [];
  const overdue = new AbortController();
  const over = new AbortController();
  const end = () => over.abort();
  const timer = setTimeout(end, BATCH_BUDGET);
  drained.addEventListener("abort", end);

  async function deliver(delivery: Delivery): Promise<void> {
    // It was suspended, or the database is away: others may have the rest. What FCM has is still waited for.
    if (!isFresh()) return overdue.abort();
    unsent.delete(delivery);
    inFlight.add(delivery);
    const answer = await sendMessage(
      messaging,
      () => buildMessage(notification, delivery, now),
      notification.delivery === "at_most_once",
    );
    // What comes later has been written down as unknown.
    if (over.signal.aborted) return;
    inFlight.delete(delivery);
    answered.push({
      id: delivery.id,
      ...withoutToken(outcomeOf(answer, delivery.attempts), delivery.token),
    });
  }

  try {
    const signal = AbortSignal.any([over.signal, overdue.signal, stopping]);
    void lanes.run(deliveries, deliver, signal).then(end);
    for (;;) {
      await delay(RECORD_INTERVAL, undefined, { signal: over.signal }).catch(() => undefined);
      if (over.signal.aborted) break;
      // Whether so many addresses can be dead is judged by the whole batch.
      const outcomes = answered.filter(({ status }) => status !== "dead_address");
      answered = answered.filter(({ status }) => status === "dead_address");
      if (outcomes.length > 0 && !(await write(outcomes))) return;
    }
    await write([
      ...answered,
      ...[...inFlight].map(({ id, attempts }) => ({ id, ...timedOut(attempts) })),
      ...[...unsent].map(({ id }) => ({ id, status: "queued" as const })),
    ]);
  } finally {
    end();
    clearTimeout(timer);
    drained.removeEventListener("abort", end);
  }
}

/** FCM may quote the address that it objects to; shorter than this is no address, but a part of any word. */
const SHORTEST_TOKEN = 4;

function withoutToken(outcome: Outcome, token: string): Outcome {
  const { error_message } = outcome;
  if (error_message === undefined || token.length < SHORTEST_TOKEN) return outcome;
  return { ...outcome, error_message: error_message.replaceAll(token, "[removed]") };
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
