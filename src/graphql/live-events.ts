import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { Logger } from "pino";
import type { DatabaseClock } from "../database/clock.ts";
import { ApiError } from "../errors.ts";
import { createEventQueue, type EventQueue } from "./event-queue.ts";

/** The one channel of app_hidden.publish (migration 000010). */
const CHANNEL = "howdah_live";
const FIRST_RETRY = 100;
const LAST_RETRY = 10_000;
/** Between two NOTIFYs to itself, and how long one may take to arrive; milliseconds. */
const PROBE_INTERVAL = 10_000;
const PROBE_PATIENCE = 5000;
const NOT_ARRIVED =
  "A NOTIFY did not arrive where this process LISTENs: LISTEN_DATABASE_URL (where it is not set, AUTHENTICATOR_DATABASE_URL) must lead to PostgreSQL itself, not through a pooler.";
/** Topic of these; each process has a key of its own. */
const PROBE = "listen_probe";

interface LiveEvent {
  topic: string;
  keys: (number | string)[];
  payload: object;
}

/**
 * The live events of this process: one connection LISTENs on one channel, and events are routed to
 * subscribers of `topic:key` here. When the connection is lost every subscription ends with
 * UNAVAILABLE, because events may have been missed: clients subscribe again and refetch.
 */
export interface LiveEvents {
  subscribe(topic: string | number): AsyncIterableIterator<object>;
  /** Whether LISTEN stands: part of /ready. */
  connected(): boolean;
  /** Resolves once LISTEN stands (again); never where it is closed before. */
  resumed(): Promise<void>;
  /** Seconds that the last NOTIFY to itself took to arrive; undefined while LISTEN does not stand. */
  lag(): number | undefined;
  /** Part of PostgreSQL's queue of notifications that is full, when it was last looked at. */
  queueUsage(): number | undefined;
  close(): Promise<void>;
}

/**
 * Connects, and keeps reconnecting with back-off until closed. Resolves once LISTEN stands.
 * @param options.pool by which it sends itself NOTIFYs, to see that they arrive
 * @param options.clock set again with each probe
 * @throws where it does not stand: the database cannot be reached, or only through a pooler
 */
export async function openLiveEvents(options: {
  connectionString: string;
  pool: pg.Pool;
  clock: DatabaseClock;
  logger: Logger;
}): Promise<LiveEvents> {
  const { connectionString, pool, clock, logger } = options;
  const subscribers = new Map<string | number, Set<EventQueue<object>>>();
  let standing = Promise.withResolvers<void>();
  let client: pg.Client | undefined;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;
  const probeKey = randomUUID();
  let probe: NodeJS.Timeout | undefined;
  let onProbe = () => {};
  let lag: number | undefined;
  let queueUsage: number | undefined;

  async function connect(): Promise<void> {
    const candidate = new pg.Client({
      connectionString,
      application_name: "howdah live events",
      keepAlive: true,
      connectionTimeoutMillis: 5000,
    });
    const broken = Promise.withResolvers<never>();
    // Nobody may be waiting for it.
    broken.promise.catch(() => {});
    const fail = (error: Error) => {
      broken.reject(error);
      lost(candidate, error);
    };
    // Before the connection stands, connect() rejects; the event says nothing new.
    candidate.on("error", fail);
    candidate.on("end", () => fail(new Error("The connection was closed.")));
    candidate.on("notification", ({ payload }) => {
      const event = parseEvent(payload);
      if (event?.topic === PROBE) {
        if (event.keys[0] === probeKey) onProbe();
      } else if (event) route(event);
      else logger.warn(`a NOTIFY on ${CHANNEL} was none of app_hidden.publish()`);
    });
    try {
      await candidate.connect();
      await candidate.query(`listen ${CHANNEL}`);
      await Promise.race([arrival(await sendProbe()), broken.promise]);
    } catch (error) {
      candidate.end().catch(() => {
        // It is broken already.
      });
      throw error;
    }
    client = candidate;
    standing.resolve();
    probe = setTimeout(probeAgain, PROBE_INTERVAL, candidate);
  }

  /**
   * Sends a NOTIFY to this process, by another connection: on its own a pooler in between would let it through.
   */
  async function sendProbe(): Promise<{ arrived: Promise<void> }> {
    const notifier = await pool.connect();
    try {
      const arrived = Promise.withResolvers<void>();
      const began = performance.now();
      onProbe = () => {
        lag = (performance.now() - began) / 1000;
        arrived.resolve();
      };
      const setClock = clock.asking();
      const { rows } = await notifier.query<{ usage: number; now: number }>(
        `select pg_notify($1, $2), pg_notification_queue_usage() as usage,
           extract(epoch from clock_timestamp())::float8 * 1000 as now`,
        [CHANNEL, JSON.stringify({ topic: PROBE, keys: [probeKey], payload: {} })],
      );
      queueUsage = rows[0]?.usage;
      if (rows[0]) setClock(rows[0].now);
      return { arrived: arrived.promise };
    } finally {
      notifier.release();
    }
  }

  /** @throws where it does not come */
  async function arrival({ arrived }: { arrived: Promise<void> }): Promise<void> {
    let isThere = false;
    const noted = arrived.then(() => {
      isThere = true;
    });
    await Promise.race([noted, delay(PROBE_PATIENCE, undefined, { ref: false })]);
    // Where this process stood still itself, what has arrived is read now.
    if (!isThere) await Promise.race([noted, delay(100, undefined, { ref: false })]);
    if (!isThere) throw new Error(NOT_ARRIVED);
  }

  /** A connection may be dead without a word. */
  async function probeAgain(candidate: pg.Client): Promise<void> {
    // Where no NOTIFY could be sent, nothing is known; whoever has lost a connection says so.
    const sent = await sendProbe().catch(() => undefined);
    try {
      if (sent) await arrival(sent);
    } catch (error) {
      lost(candidate, error as Error);
    }
    if (candidate === client) probe = setTimeout(probeAgain, PROBE_INTERVAL, candidate);
  }

  function lost(candidate: pg.Client, error: Error): void {
    if (candidate !== client) return;
    client = undefined;
    clearTimeout(probe);
    lag = undefined;
    if (closed) return;
    standing = Promise.withResolvers();
    logger.warn({ error: error.message }, "live events interrupted");
    for (const subscriber of [...subscribers.values()].flatMap((set) => [...set])) {
      subscriber.fail(
        new ApiError("UNAVAILABLE", "Live events were interrupted; some may be missing.", {
          hint: "Subscribe again, then fetch again.",
        }),
      );
    }
    candidate.end().catch(() => {
      // It is lost already.
    });
    reconnect(FIRST_RETRY);
  }

  function reconnect(delay: number): void {
    retry = setTimeout(() => {
      connect().then(
        () => logger.info("live events resumed"),
        () => closed || reconnect(Math.min(delay * 2, LAST_RETRY)),
      );
    }, delay);
  }

  function route(event: LiveEvent): void {
    for (const key of event.keys) {
      for (const subscriber of subscribers.get(`${event.topic}:${key}`) ?? []) {
        subscriber.push(event.payload);
      }
    }
  }

  await connect();
  return {
    subscribe(topic) {
      if (!client) throw new ApiError("UNAVAILABLE", "Live events are interrupted; try again.");
      const set = subscribers.get(topic) ?? new Set();
      subscribers.set(topic, set);
      const subscriber = createEventQueue<object>(() => {
        set.delete(subscriber);
        if (set.size === 0 && subscribers.get(topic) === set) subscribers.delete(topic);
      });
      set.add(subscriber);
      return subscriber.iterator;
    },
    connected: () => client !== undefined,
    resumed: () => standing.promise,
    lag: () => (client ? lag : undefined),
    queueUsage: () => queueUsage,
    async close() {
      closed = true;
      clearTimeout(retry);
      clearTimeout(probe);
      for (const set of [...subscribers.values()]) {
        for (const subscriber of [...set]) subscriber.end();
      }
      await client?.end();
    },
  };
}

/** Anybody who may write SQL may NOTIFY: what is not an event must not end the process. */
function parseEvent(payload: string | undefined): LiveEvent | undefined {
  try {
    const event = JSON.parse(payload ?? "") as Partial<LiveEvent> | null;
    const isEvent = typeof event?.topic === "string" && Array.isArray(event.keys);
    return isEvent ? (event as LiveEvent) : undefined;
  } catch {
    return undefined;
  }
}
