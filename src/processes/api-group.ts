import cluster, { type Worker } from "node:cluster";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { AggregatorRegistry } from "prom-client";
import type { Config } from "../config.ts";
import { serveOps } from "../http/ops.ts";
import type { Stoppable } from "./run.ts";

/** What a process of the group tells the one that began it. */
export type GroupMessage = { ready: string | null; url?: string };

/** A process that ends by itself is replaced after this, milliseconds: not in a tight loop. */
const REPLACE_AFTER = 1000;

/**
 * Several API processes on one port (API_PROCESSES): node:cluster hands out the connections. One
 * that dies is replaced; /ready is that of all of them, /metrics their sum.
 */
export async function startApiGroup(config: Config, logger: Logger): Promise<Stoppable> {
  const missing = new Map<number, string | null>();
  let stopping = false;
  let url: string | undefined;
  const failed = Promise.withResolvers<never>();
  const started = Promise.withResolvers<void>();
  let hasStarted = false;

  function fork(): void {
    const worker = cluster.fork();
    missing.set(worker.id, "starting");
    worker.on("message", (message: GroupMessage) => {
      if (!("ready" in message)) return;
      missing.set(worker.id, message.ready);
      url ??= message.url;
      if ([...missing.values()].every((fault) => fault === null)) started.resolve();
    });
    worker.on("exit", (code) => void replace(worker, code));
  }

  async function replace(worker: Worker, code: number): Promise<void> {
    missing.delete(worker.id);
    if (stopping) return;
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
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    await Promise.all(
      workers.map((worker) => {
        const exited = new Promise((resolve) => worker.once("exit", resolve));
        worker.send("stop");
        return exited;
      }),
    );
  }

  const metrics = new AggregatorRegistry();
  const ops = await serveOps({
    host: config.api.host,
    port: config.api.opsPort,
    ready: () => {
      if (missing.size < config.api.processes) return "an API process is missing";
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
  const opsUrl = `http://${config.api.host}:${ops.port}`;
  logger.info({ url, ops: opsUrl, processes: config.api.processes }, "API ready");
  return {
    async stop() {
      ops.drain();
      await stopAll();
      await ops.close();
    },
  };
}
