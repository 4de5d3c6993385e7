import type { Pool } from "pg";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { DatabaseClock } from "../database/clock.ts";
import type { ErrorCode } from "../errors.ts";
import type { LiveEvents } from "../graphql/live-events.ts";
import type { WebSockets } from "../http/web-socket.ts";
import type { RequestScope } from "../request-scope.ts";
import { createOperationNames } from "./operation-names.ts";

export interface ApiMetrics {
  /** @param seconds from its first byte to the last of its answer */
  observe(scope: RequestScope, seconds: number): void;
  countErrors(codes: readonly ErrorCode[]): void;
  countLogIn(method: LogInMethod, outcome: LogInOutcome): void;
}

export type LogInMethod = "password" | "provider" | "id_token" | "refresh";
export type LogInOutcome = "ok" | "refused" | "limited" | "failed";

const SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What an API process counts; docs/operating.md has each of these, and a test sees to that. */
export function createApiMetrics(registry: Registry): ApiMetrics {
  const registers = [registry];
  const label = createOperationNames();
  const durations = new Histogram({
    name: "howdah_graphql_request_duration_seconds",
    help: "Time to answer a GraphQL operation, over HTTP or WebSocket, by its name.",
    labelNames: ["operation"],
    buckets: SECONDS,
    registers,
  });
  const errors = new Counter({
    name: "howdah_errors_total",
    help: "Errors that clients were answered with, by extensions.code.",
    labelNames: ["code"],
    registers,
  });
  const logIns = new Counter({
    name: "howdah_log_ins_total",
    help: "Log-ins and refreshes, by method and outcome.",
    labelNames: ["method", "outcome"],
    registers,
  });
  // What a request needs of them is looked up once for each name.
  const observers = new Map<string, { observe(seconds: number): void }>();
  const countErrors = (codes: readonly ErrorCode[]) => {
    for (const code of codes) errors.inc({ code });
  };
  return {
    countErrors,
    observe({ operation, codes }, seconds) {
      countErrors(codes);
      if (operation === undefined) return;
      const name = label(operation);
      let observer = observers.get(name);
      if (!observer) {
        observer = durations.labels(name);
        observers.set(name, observer);
      }
      observer.observe(seconds);
    },
    countLogIn: (method, outcome) => logIns.inc({ method, outcome }),
  };
}

/** What is looked at when somebody asks. */
export function watchApi(
  registry: Registry,
  {
    clock,
    liveEvents,
    webSockets,
  }: { clock: DatabaseClock; liveEvents: LiveEvents; webSockets: WebSockets },
): void {
  const gauge = (name: string, help: string, read: () => number | undefined, aggregator = "sum") =>
    new Gauge({
      name,
      help,
      registers: [registry],
      aggregator: aggregator as "sum",
      collect() {
        const value = read();
        if (value === undefined) this.reset();
        else this.set(value);
      },
    });
  gauge("howdah_websockets", "WebSocket connections that are open.", webSockets.sockets);
  gauge("howdah_subscriptions", "Operations that are open on WebSockets.", webSockets.operations);
  gauge(
    "howdah_listen_connected",
    "1 while LISTEN stands, on which live events come; of several processes the least.",
    () => Number(liveEvents.connected()),
    "min",
  );
  gauge(
    "howdah_listen_lag_seconds",
    "Time from the last NOTIFY that this process sent itself to its arrival; of several the longest.",
    liveEvents.lag,
    "max",
  );
  gauge(
    "howdah_postgres_notification_queue_ratio",
    "Part of PostgreSQL's queue of notifications that is full; at 1 every NOTIFY fails.",
    liveEvents.queueUsage,
    "max",
  );
  gauge(
    "howdah_clock_skew_seconds",
    "How far this machine's clock is ahead of PostgreSQL's (behind: below zero); of several processes the most.",
    clock.skew,
    "max",
  );
}

/** @param pool with what waits for it, as every process has */
export function watchPool(registry: Registry, pool: Pool, max: number): Histogram {
  const registers = [registry];
  new Gauge({
    name: "howdah_pool_connections",
    help: "Connections to PostgreSQL, by state: used, idle.",
    labelNames: ["state"],
    registers,
    collect() {
      this.set({ state: "used" }, pool.totalCount - pool.idleCount);
      this.set({ state: "idle" }, pool.idleCount);
    },
  });
  new Gauge({
    name: "howdah_pool_max_connections",
    help: "Connections to PostgreSQL at most.",
    registers,
    collect() {
      this.set(max);
    },
  });
  new Gauge({
    name: "howdah_pool_waiting",
    help: "Who waits for a connection at this moment.",
    registers,
    collect() {
      this.set(pool.waitingCount);
    },
  });
  return new Histogram({
    name: "howdah_pool_wait_seconds",
    help: "Time waited for a connection, of those who found none idle.",
    buckets: SECONDS,
    registers,
  });
}
