import cluster, { type Worker } from "node:cluster";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { AggregatorRegistry } from "prom-client";
import type { Config } from "../config.ts";
import { serveOps } from "../http/ops.ts";
import type { Stoppable } from "./run.ts";

/** What a process of the group tells the one that began it. */
export type GroupMessage = { ready: string | null; url?: string } | { pong: true };

/** A process that ends by itself is replaced after this, milliseconds: not in a tight loop. */
const REPLACE_AFTER = 1000;

/** Each is asked so often whether it is there; milliseconds. */
const PING = 1000;
/** One that has not answered for so long is not ready, milliseconds. */
const SILENT = 4000;
/** And then it is killed, and replaced like one that has died; milliseconds. */
const HUNG = 15_000;
/** One that starts is busy: it loads its modules and builds the schema. It has so long; milliseconds. */
const STUCK_IN_START = 60_000;
/** Before SHUTDOWN_SECONDS are over, those that are left are killed so early, milliseconds. */
const LAST = 400;

/**
 * Several API processes on one port (API_PROCESSES): node:cluster hands out the connections. One
 * that dies is replaced; SIGUSR2 replaces one after the other by the code that is there now. /ready is
 * that of all of them, /metrics their sum.
 */
export async function startApiGroup(config: Config, logger: Logger): Promise<Stoppable> {
  const missing = new Map<number, string | null>();
  /** Those that do not count, in a rolling restart: not ready yet, or on their way out. */
  const aside = new Set<number>();
  /** Those that could not serve yet. */
  const starting = new Set<number>();
  /** When each was last heard of. */
  const heard = new Map<number, number>();
  let stopping = false;
  let restarting = false;
  let url: string | undefined;
  const failed = Promise.withResolvers<never>();
  const started = Promise.withResolvers<void>();
  let hasStarted = false;

  function fork(): Worker {
    const worker = cluster.fork();
    missing.set(worker.id, "starting");
    starting.add(worker.id);
    heard.set(worker.id, performance.now());
    worker.on("message", (message: GroupMessage) => {
      heard.set(worker.id, performance.now());
      if (!("ready" in message)) return;
      if (message.ready === null) starting.delete(worker.id);
      if (aside.has(worker.id)) return;
      missing.set(worker.id, message.ready);
      url ??= message.url;
      if ([...missing.values()].every((fault) => fault === null)) started.resolve();
    });
    // A message to one that has just died cannot be written: its exit, or its silence, is what counts.
    worker.on("error", (error) => {
      logger.debug({ pid: worker.process.pid, error }, "an API process could not be reached");
    });
    worker.on("exit", (code) => void replace(worker, code));
    return worker;
  }

  async function replace(worker: Worker, code: number): Promise<void> {
    missing.delete(worker.id);
    heard.delete(worker.id);
    starting.delete(worker.id);
    if (stopping || aside.delete(worker.id)) return;
    if (!hasStarted) {
      // It has said why in one line.
      failed.reject(new Error("one of its processes could not."));
      return;
    }
    logger.error({ pid: worker.process.pid, code }, "an API process has ended; another is started");
    await delay(REPLACE_AFTER);
    if (!stopping) fork();
  }

  async function stopAll(): Promise<void> {
    stopping = true;
    // Each cuts its last requests off a second before SHUTDOWN_SECONDS: what is there then hangs.
    const deadline = setTimeout(() => kill(workersNow()), config.shutdownSeconds * 1000 - LAST);
    await Promise.all(workersNow().map(stopOne));
    clearTimeout(deadline);
  }

  function kill(workers: Worker[]): void {
    for (const worker of workers) worker.process.kill("SIGKILL");
  }

  const silence = (worker: Worker): number =>
    performance.now() - (heard.get(worker.id) ?? performance.now());

  function ping(): void {
    for (const worker of workersNow()) {
      if (silence(worker) > (starting.has(worker.id) ? STUCK_IN_START : HUNG)) {
        logger.error({ pid: worker.process.pid }, "an API process hangs: it is killed");
        kill([worker]);
      } else if (worker.isConnected()) worker.send("ping");
    }
  }

  async function stopOne(worker: Worker): Promise<void> {
    if (worker.isDead()) return;
    const exited = new Promise((resolve) => worker.once("exit", resolve));
    worker.send("stop");
    await exited;
  }

  /** One after the other is replaced; the old one stops when the new one can serve. */
  async function restart(): Promise<void> {
    if (restarting || stopping) return;
    restarting = true;
    logger.info("rolling restart");
    try {
      for (const old of workersNow()) {
        const next = fork();
        aside.add(next.id);
        missing.delete(next.id);
        const isReady = await canServe(next);
        if (!isReady || stopping) {
          if (!isReady) logger.error("a new API process could not start; the old ones go on");
          return;
        }
        aside.delete(next.id);
        missing.set(next.id, null);
        // One that has died meanwhile gets its replacement by another way, and this one goes in its place.
        const leaving = old.isDead() ? next : old;
        aside.add(leaving.id);
        missing.delete(leaving.id);
        await stopOne(leaving);
      }
      logger.info("rolling restart done");
    } finally {
      restarting = false;
    }
  }

  process.on("SIGUSR2", () => void restart());

  const metrics = new AggregatorRegistry();
  const ops = await serveOps({
    host: config.api.host,
    port: config.api.opsPort,
    ready: () => {
      if (missing.size < config.api.processes) return "an API process is missing";
      const serving = workersNow().filter(({ id }) => missing.has(id) && !starting.has(id));
      if (serving.some((worker) => silence(worker) > SILENT)) {
        return "an API process does not answer";
      }
      return [...missing.values()].find((fault) => fault !== null) ?? undefined;
    },
    metrics: { contentType: metrics.contentType, text: () => metrics.clusterMetrics() },
  });
  for (let n = 0; n < config.api.processes; n += 1) fork();
  try {
    await Promise.race([started.promise, failed.promise]);
  } catch (error) {
    await stopAll();
    await ops.close();
    throw error;
  }
  hasStarted = true;
  const pings = setInterval(ping, PING);
  const opsUrl = `http://${config.api.host}:${ops.port}`;
  logger.info({ url, ops: opsUrl, processes: config.api.processes }, "API ready");
  return {
    async stop() {
      ops.drain();
      clearInterval(pings);
      await stopAll();
      await ops.close();
    },
  };
}

function workersNow(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
}

/** False where it ends before it is ready. */
function canServe(worker: Worker): Promise<boolean> {
  return new Promise((resolve) => {
    const onMessage = (message: GroupMessage) => {
      if (!("ready" in message) || message.ready !== null) return;
      worker.off("message", onMessage);
      resolve(true);
    };
    worker.on("message", onMessage);
    worker.once("exit", () => resolve(false));
  });
}
