import { setTimeout as delay } from "node:timers/promises";
import { type Runner, type RunnerOptions, run } from "graphile-worker";
import type { Logger } from "pino";
import type { Heartbeat } from "./heartbeat.ts";

/** Between two attempts to begin again, milliseconds. */
const PAUSE = 1000;

/** How long the ends of a pool's last jobs may be on their way to the database, milliseconds. */
const WRITING = 2000;

const UNREF = { ref: false };

export interface LastingRunner {
  /** Takes no more jobs, and waits for those that are under way. */
  stop(): Promise<void>;
}

/**
 * graphile-worker, begun again whenever it ends by itself: its pool of workers does so for good at the
 * first end of a job that cannot be written down, because PostgreSQL is away for a moment, say. Another
 * one takes over at once, while the old one waits for what it is at.
 */
export async function startRunner(
  options: RunnerOptions,
  /** Told of each pool, by whose name jobs are locked, before it takes any and when it runs none any more. */
  heartbeat: Pick<Heartbeat, "say" | "end">,
  logger: Logger,
): Promise<LastingRunner> {
  const ending = new Set<Promise<void>>();
  let stopped = false;
  let runner: Runner;
  let restart: Promise<void> | undefined;

  const plugin: GraphileConfig.Plugin = {
    name: "LastingRunnerPlugin",
    worker: {
      hooks: {
        // Each of a pool's workers waits for it before its first job.
        async startWorker() {
          while (!stopped) {
            try {
              await heartbeat.say();
              return;
            } catch {
              // The database is away: there is no job to be had either.
              await delay(PAUSE);
            }
          }
        },
      },
      middleware: {
        poolGracefulShutdown(next, { workerPool, message }) {
          const workers = workerPool._workers.map((worker) => worker.promise);
          // After some ends that could not be written down it never says that it is done (its count of
          // those under way goes below zero).
          const idle = Promise.allSettled(workers).then(() => delay(WRITING, undefined, UNREF));
          const shutdown = Promise.race([next(), idle]);
          const ended: Promise<void> = shutdown
            .then(noop, noop)
            .then(() => heartbeat.end(workerPool.id))
            .finally(() => ending.delete(ended));
          ending.add(ended);
          if (!stopped) {
            logger.warn({ reason: message }, "the job runner ended by itself: another one begins");
            restart = beginAgain();
          }
          return shutdown;
        },
      },
    },
  };

  async function begin(): Promise<void> {
    runner = await run({
      ...options,
      preset: { ...options.preset, plugins: [...(options.preset?.plugins ?? []), plugin] },
    });
  }

  async function beginAgain(): Promise<void> {
    while (!stopped) {
      try {
        return await begin();
      } catch (error) {
        logger.warn({ error: (error as Error).message }, "the job runner cannot begin");
        await delay(PAUSE);
      }
    }
  }

  await begin();
  return {
    async stop() {
      stopped = true;
      await restart;
      // One that has ended meanwhile says so, which is what is wanted.
      await runner.stop().catch(noop);
      await Promise.all(ending);
    },
  };
}

function noop(): void {
  // Its errors are in the log.
}
