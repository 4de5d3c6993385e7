import type { EventEmitter } from "node:events";
import type { Job } from "graphile-worker";
import type { Pool } from "pg";

/** How long the end of a job may be on its way to the database, milliseconds. */
const WRITING = 20_000;

/** The jobs that this process has locked, as far as it knows. */
export interface OwnJobs {
  /** The names of its pools, by which jobs are locked. */
  poolIds(): string[];
  /** This pool runs nothing any more. */
  end(poolId: string): void;
  /**
   * Lets go of what is locked by its pools and not under way: the answer that gave it the job, or the
   * end of the job, was lost. What was done is done.
   */
  free(pool: Pool): Promise<number>;
}

interface Known {
  isDone: boolean;
  endedAt?: number;
}

/** Listens to graphile-worker, which itself frees only jobs that were locked four hours ago. */
export function watchOwnJobs(events: EventEmitter): OwnJobs {
  const live = new Set<string>();
  const ended = new Set<string>();
  const jobs = new Map<string, Known>();
  events.on("pool:create", ({ workerPool }: { workerPool: { id: string } }) => {
    live.add(workerPool.id);
  });
  events.on("job:start", ({ job }: { job: Job }) => jobs.set(job.id, { isDone: false }));
  events.on("job:success", ({ job }: { job: Job }) => {
    jobs.set(job.id, { isDone: true, endedAt: performance.now() });
  });
  events.on("job:error", ({ job }: { job: Job }) => {
    jobs.set(job.id, { isDone: false, endedAt: performance.now() });
  });

  return {
    poolIds: () => [...live, ...ended],
    end(poolId) {
      live.delete(poolId);
      ended.add(poolId);
    },
    async free(pool) {
      const writtenBy = performance.now() - WRITING;
      const known = [...jobs];
      const isOver = ({ endedAt = Infinity }: Known) => endedAt < writtenBy;
      const gone = [...ended];
      const { rows } = await pool.query<{ freed: number }>(
        "select app_private.free_jobs($1, $2, $3, $4) as freed",
        [
          [...live],
          gone,
          known.filter(([, job]) => !isOver(job)).map(([id]) => id),
          known.filter(([, { isDone }]) => isDone).map(([id]) => id),
        ],
      );
      for (const [id, job] of known) if (isOver(job) && jobs.get(id) === job) jobs.delete(id);
      for (const poolId of gone) ended.delete(poolId);
      return rows[0]?.freed ?? 0;
    },
  };
}
