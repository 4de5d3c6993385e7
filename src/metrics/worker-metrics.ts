import type { EventEmitter } from "node:events";
import type { Job } from "graphile-worker";
import type { Logger } from "pino";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

const SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60];

/** @param outcome a status of the ledger, or `held` (by the breaker), `withheld` (not handed to FCM) */
export type PushCounter = (platform: string, outcome: string, count: number) => void;

export function createPushCounter(registry: Registry): PushCounter {
  const pushes = new Counter({
    name: "howdah_pushes_total",
    help: "Attempts to push, by platform and outcome; withheld: the database let them wait, or ended them, before they were sent.",
    labelNames: ["platform", "outcome"],
    registers: [registry],
  });
  return (platform, outcome, count) => pushes.inc({ platform, outcome }, count);
}

/** Jobs as they begin and end: one line each, with the request that caused it, and the numbers. */
export function watchJobs(registry: Registry, events: EventEmitter, logger: Logger): void {
  const registers = [registry];
  const jobs = new Counter({
    name: "howdah_jobs_total",
    help: "Jobs that this worker has run, by task and outcome: done, failed (tried again), given_up.",
    labelNames: ["task", "outcome"],
    registers,
  });
  const durations = new Histogram({
    name: "howdah_job_duration_seconds",
    help: "Time that jobs took, by task.",
    labelNames: ["task"],
    buckets: SECONDS,
    registers,
  });
  const began = new Map<string, number>();
  events.on("job:start", ({ job }: { job: Job }) => began.set(job.id, performance.now()));
  const end = (job: Job, outcome: "done" | "failed" | "given_up", error?: unknown) => {
    const duration = performance.now() - (began.get(job.id) ?? performance.now());
    began.delete(job.id);
    const task = job.task_identifier;
    jobs.inc({ task, outcome });
    durations.observe({ task }, duration / 1000);
    const line = {
      jobId: job.id,
      task,
      attempt: job.attempts,
      requestId: requestOf(job.payload),
      duration: Math.round(duration * 10) / 10,
    };
    if (outcome === "done") logger.info(line, "job");
    else if (outcome === "failed") logger.warn({ ...line, error }, "job failed");
    else logger.error({ ...line, error }, "job given up");
  };
  events.on("job:success", ({ job }: { job: Job }) => end(job, "done"));
  events.on("job:error", ({ job, error }: { job: Job; error: unknown }) => {
    end(job, job.attempts >= job.max_attempts ? "given_up" : "failed", error);
  });
}

function requestOf(payload: unknown): string | undefined {
  const { requestId } = (payload ?? {}) as { requestId?: unknown };
  return typeof requestId === "string" ? requestId : undefined;
}

/** graphile-worker LISTENs once for each of its pools. @returns whether all of them do */
export function watchListen(
  registry: Registry,
  events: EventEmitter,
  pools: number,
): () => boolean {
  const listening = new Set<object>();
  events.on("pool:listen:success", ({ workerPool }: { workerPool: object }) => {
    listening.add(workerPool);
  });
  for (const event of ["pool:listen:error", "pool:listen:release"]) {
    events.on(event, ({ workerPool }: { workerPool: object }) => listening.delete(workerPool));
  }
  const isListening = () => listening.size >= pools;
  new Gauge({
    name: "howdah_listen_connected",
    help: "1 while LISTEN stands, by which the worker hears of jobs; without it asks every 2 seconds.",
    registers: [registry],
    collect() {
      this.set(Number(isListening()));
    },
  });
  return isListening;
}
