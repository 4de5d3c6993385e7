import { setTimeout as delay } from "node:timers/promises";
import type { TaskContext } from "../tasks/task.ts";
import { isLocked, LOCKED_PATIENCE } from "./locked.ts";
import { type Address, buildMessage, type Notification } from "./message.ts";
import { type Sending, sendMessage } from "./messaging.ts";
import { type Outcome, outcomeOf, timedOut, withoutToken } from "./outcome.ts";
import { type Recorded, record } from "./record.ts";

/** How long an answer is waited for, milliseconds: firebase-admin hangs up after 15 s, but not on one that trickles. */
const ANSWER_PATIENCE = 60_000;
/** What has been answered waits this long for the rest of its batch, milliseconds. */
const RECORD_INTERVAL = 1000;
/** At most once: so many at a time are marked as handed over, and are nobody's if this process dies. */
const GROUP = 32;

type Delivery = Address & { id: number; attempts: number };
type DeliveryOutcome = Outcome & { id: number };

interface Claimed {
  /** PostgreSQL's clock: milliseconds since 1970. */
  now: number;
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
 * Claims a batch, sends it and writes the outcomes: in one statement where all is answered soon, else by the
 * second. Resolves when all of it is done, or only slow answers are waited for, which nobody else has to: the batch
 * stays ours until they are there. When the worker is to stop, what was not handed to FCM yet goes back.
 */
export async function deliverBatch(batchId: number, context: Context): Promise<void> {
  const { batches, logger } = context;
  // A job that came twice must not send twice.
  if (batches.has(batchId)) return;
  const { promise: handedOver, resolve } = Promise.withResolvers<void>();
  let isLetGo = false;
  const letGo = () => {
    isLetGo = true;
    resolve();
  };
  const whole = deliverAll(batchId, context, letGo).finally(() => batches.delete(batchId));
  batches.set(
    batchId,
    whole.catch((error) => {
      // Else it is the job's.
      if (isLetGo) logger.error({ error, batchId }, "pushes failed");
    }),
  );
  await Promise.race([whole, handedOver]);
}

async function deliverAll(batchId: number, context: Context, letGo: () => void): Promise<void> {
  const { pool, logger, workerId, countPushes } = context;
  // Before the answer, which may be read late: nothing is then thought to live longer than it does.
  const asOf = performance.now();
  const claimed = await claim(batchId, context);
  if (!claimed) return;
  const { platform, size, fence, notification } = claimed;
  const withheld = size - (claimed.deliveries?.length ?? 0);
  if (withheld > 0) countPushes(platform, "withheld", withheld);
  if (fence === null) return;
  const about = { notificationId: notification.id, deliveries: 0, recorded: 0 };

  async function write(outcomes: DeliveryOutcome[]): Promise<Recorded> {
    const values = [batchId, workerId, fence, JSON.stringify(outcomes), notification.id];
    const result = await record(pool, values);
    const { alert } = result;
    about.deliveries += outcomes.length;
    about.recorded += result.recorded;
    if (alert?.startsWith("devices: ")) {
      // Of one user, or of a few among many: no reason to wake anybody.
      logger.warn({ ...about, alert }, "FCM refuses some devices: they wait");
    } else if (alert !== null) {
      const said = outcomes.find(({ error_code }) => error_code === alert)?.error_message;
      logger.error({ ...about, alert, said }, ALERTS[alert] ?? "FCM refuses: sending is paused");
    }
    if (alert === "lost") return result;
    for (const [status, group] of Object.entries(Object.groupBy(outcomes, (one) => one.status))) {
      const isHeld = alert === "circuit_breaker" && status === "dead_address";
      const isRepeated = status === "unknown" && notification.delivery === "at_least_once";
      countPushes(
        platform,
        (isHeld && "held") || (isRepeated && "retrying") || status,
        group.length,
      );
    }
    return result;
  }

  async function mark(group: Delivery[]): Promise<Delivery[]> {
    const { rows } = await pool.query<{ id: string }>(
      "select id from app_private.hand_over($1, $2, $3, $4) as id",
      [batchId, workerId, fence, group.map(({ id }) => id)],
    );
    const marked = new Set(rows.map(({ id }) => Number(id)));
    return group.filter(({ id }) => marked.has(id));
  }

  const clock = () => claimed.now + performance.now() - asOf;
  await send(claimed, context, { write, mark, letGo, clock });
  logger.info(about, "pushes sent");
}

/** What is held up by another's open transaction holds nobody else up: it gives its turn away. */
async function claim(
  batchId: number,
  { pool, workerId, logger }: Pick<TaskContext, "pool" | "workerId" | "logger">,
): Promise<Claimed | undefined> {
  try {
    const { rows } = await pool.query<Claimed>(
      `select extract(epoch from clock_timestamp())::float8 * 1000 as now,
         c.fence, c.notification, c.deliveries, b.device_type as platform,
         cardinality(b.delivery_ids) as size
       from app_private.delivery_batches b,
         app_private.claim_batch($1, $2, false) c where b.id = $1`,
      [batchId, workerId],
    );
    return rows[0];
  } catch (error) {
    if (!isLocked(error)) throw error;
    logger.warn({ batchId }, "pushes wait for a lock that another transaction holds");
    await pool.query("select app_private.put_off_batch($1, $2, $3)", [
      batchId,
      workerId,
      LOCKED_PATIENCE,
    ]);
    return undefined;
  }
}

const ALERTS: Readonly<Record<string, string>> = {
  lost: "another worker has taken this batch over",
  circuit_breaker: "suspiciously many addresses seem dead: an operator has to decide",
};

interface Ledger {
  /** Gets the outcome of each delivery once, and says whether the batch is still ours. */
  write(outcomes: DeliveryOutcome[]): Promise<Recorded>;
  /** At most once: these are handed over now. Returns those that still may be. */
  mark(group: Delivery[]): Promise<Delivery[]>;
  /** Only slow answers are waited for. */
  letGo(): void;
  /** PostgreSQL's, by which a notification expires: milliseconds since 1970. */
  clock(): number;
}

async function send(
  { notification, deliveries }: Claimed,
  { messaging, lanes, isFresh, stopping, drained, logger }: Context,
  { write, mark, letGo, clock }: Ledger,
): Promise<void> {
  const expiresAt = Date.parse(notification.expires_at);
  const inFlight = new Map<Delivery, Sending>();
  const unsent = new Set(deliveries);
  let answered: DeliveryOutcome[] = [];
  let isHandedOver = false;
  /** Nothing more is handed to FCM. */
  const halt = new AbortController();
  /** Nothing more is waited for. */
  const over = new AbortController();
  const end = () => over.abort();
  const signal = AbortSignal.any([halt.signal, over.signal, stopping]);
  drained.addEventListener("abort", end);
  let timer: NodeJS.Timeout | undefined;

  async function deliver(delivery: Delivery): Promise<void> {
    // It was suspended, or the database is away: others may have the rest. What FCM has is still waited for.
    if (!isFresh()) return halt.abort();
    // It goes back, and is found to have expired.
    const now = clock();
    if (now >= expiresAt) return;
    unsent.delete(delivery);
    const sending = sendMessage(messaging, () =>
      buildMessage(notification, delivery, new Date(now)),
    );
    inFlight.set(delivery, sending);
    const answer = await sending.answer;
    // What was given up has been written down as unknown.
    if (!inFlight.delete(delivery)) return;
    answered.push({
      id: delivery.id,
      ...withoutToken(outcomeOf(answer, delivery.attempts), delivery.token),
    });
    if (isHandedOver && inFlight.size === 0) end();
  }

  async function handOver(): Promise<void> {
    if (notification.delivery === "at_most_once") {
      for (let i = 0; i < deliveries.length && !signal.aborted; i += GROUP) {
        await lanes.run(await mark(deliveries.slice(i, i + GROUP)), deliver, signal);
      }
    } else {
      await lanes.run(deliveries, deliver, signal);
    }
  }

  void handOver()
    .catch((error) => {
      // The database is away, or this process is: what is not handed over goes back.
      logger.warn({ error: (error as Error).message }, "pushes cannot be handed over");
      halt.abort();
    })
    .then(() => {
      isHandedOver = true;
      if (inFlight.size === 0) return end();
      timer = setTimeout(end, ANSWER_PATIENCE);
      letGo();
    });

  /** What was never handed over goes back, once it is sure that it will not be. */
  function takeUnsent(): DeliveryOutcome[] {
    const outcomes = [...unsent].map(({ id }) => ({ id, status: "queued" as const }));
    unsent.clear();
    return outcomes;
  }

  try {
    for (;;) {
      await delay(RECORD_INTERVAL, undefined, { signal: over.signal }).catch(() => undefined);
      if (over.signal.aborted) break;
      // Whether so many addresses can be dead is judged by the whole batch.
      const outcomes = answered.filter(({ status }) => status !== "dead_address");
      answered = answered.filter(({ status }) => status === "dead_address");
      if (isHandedOver) outcomes.push(...takeUnsent());
      const { alert, canceled } = await write(outcomes);
      if (alert === "lost") return;
      if (canceled) halt.abort();
    }
    const overdue = [...inFlight];
    inFlight.clear();
    for (const [, sending] of overdue) sending.giveUp();
    await write([
      ...answered,
      ...overdue.map(([{ id, attempts }]) => ({ id, ...timedOut(attempts) })),
      ...takeUnsent(),
    ]);
  } finally {
    end();
    clearTimeout(timer);
    for (const sending of inFlight.values()) sending.giveUp();
    drained.removeEventListener("abort", end);
  }
}
