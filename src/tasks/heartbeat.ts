import type { Pool } from "pg";
import type { Logger } from "pino";
import type { OwnJobs } from "./own-jobs.ts";

/** Between two heartbeats, milliseconds; app_private.is_alive() forgives three that are missed. */
const INTERVAL = 5000;

/** Without a heartbeat for so long, milliseconds, its batches may soon be another's (after 20 s). */
const FRESH = 15_000;

export interface Heartbeat {
  /** Whether others still hold back from what this worker has: not after it was suspended, say. */
  isFresh(): boolean;
  /**
   * Makes the names known by which this process locks jobs, to be called before any is locked by a new one:
   * were the process killed before that, nobody would unlock it.
   */
  say(): Promise<unknown>;
  /** A pool of graphile-worker has ended: what it still has locked is free at once. */
  end(poolId: string): void;
  /** To be called when all of them have ended. */
  stop(): Promise<void>;
  /** As if it had missed its heartbeats: what this worker has is given to others now. */
  abandon(): Promise<void>;
}

/**
 * Says every five seconds that this worker lives, lets go of jobs that it has locked and does not run, and takes
 * up what others left that do not live any more: all that would stay locked for four hours.
 */
export async function startHeartbeat(options: {
  pool: Pool;
  workerId: string;
  batches: ReadonlyMap<number, unknown>;
  jobs: OwnJobs;
  logger: Logger;
}): Promise<Heartbeat> {
  const { pool, workerId, batches, jobs, logger } = options;
  let timer: NodeJS.Timeout | undefined;
  let beating: Promise<void> | undefined;
  let stopped = false;
  let last = performance.now();

  // One after the other: the names that were known earlier must not be written later.
  let said: Promise<unknown> = Promise.resolve();
  function say(): Promise<unknown> {
    said = said
      .catch(() => undefined)
      .then(() =>
        pool.query("select app_private.heartbeat($1, $2, $3)", [
          workerId,
          jobs.poolIds(),
          [...batches.keys()],
        ]),
      );
    return said;
  }

  async function free(): Promise<void> {
    const freed = await jobs.free(pool);
    if (freed > 0) logger.warn({ jobs: freed }, "let go of jobs that were locked and not run");
  }

  async function beat(): Promise<void> {
    const began = performance.now();
    try {
      await say();
      last = began;
      await free();
      const { rows } = await pool.query<{
        dead_workers: number;
        batches: number;
        notifications: number;
      }>("select dead_workers, batches, notifications from app_private.sweep()");
      await pool.query("select app_private.apply_acknowledgements()");
      const [swept] = rows;
      if (swept && swept.dead_workers + swept.batches + swept.notifications > 0) {
        logger.warn(swept, "taken up what a dead worker left");
      }
    } catch (error) {
      logger.warn({ error: (error as Error).message }, "no heartbeat: the database is away");
    }
    if (!stopped) schedule(INTERVAL);
  }

  function schedule(wait: number): void {
    timer = setTimeout(() => {
      beating = beat();
    }, wait);
  }

  await pool.query("select app_private.heartbeat($1, '{}', '{}')", [workerId]);
  schedule(INTERVAL);
  return {
    say,
    isFresh: () => performance.now() - last < FRESH,
    end(poolId) {
      jobs.end(poolId);
      // Where the database is away, the next heartbeat does it.
      if (!stopped) free().catch(() => undefined);
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await beating;
      try {
        await free();
        await pool.query("delete from app_private.workers where id = $1", [workerId]);
      } catch {
        // The database is away: others take up what is left.
      }
    },
    async abandon() {
      stopped = true;
      clearTimeout(timer);
      await pool.query(
        `with gone_worker as (delete from app_private.workers where id = $1 returning job_worker_ids)
         select graphile_worker.force_unlock_workers(job_worker_ids) from gone_worker`,
        [workerId],
      );
    },
  };
}
