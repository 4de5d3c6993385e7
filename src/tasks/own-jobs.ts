import type { EventEmitter } from "node:events";
import type { Job } from "graphile-worker";
import type { Pool } from "pg";

/** How long the end of a job may be on its way to the database, milliseconds. */
const WRITING = 20_000;
/** For how long an ended pool's jobs are looked for, and known as done: its last statements may hold them. Milliseconds. */
const MEMORY = 30_000;

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
  /** And when they did. */
  const ended = new Map<string, number>();
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
    poolIds: () => [...live, ...ended.keys()],
    end(poolId) {
      live.delete(poolId);
      ended.set(poolId, performance.now());
    },
    async free(pool) {
      const now = performance.now();
      const known = [...jobs];
      const isOlder = ({ endedAt = Infinity }: Known, than: number) => endedAt < now - than;
      const gone = [...ended];
      const { rows } = await pool.query<{ freed: number }>(
        "select app_private.free_jobs($1, $2, $3, $4) as freed",
        [
          [...live],
          gone.map(([poolId]) => poolId),
          known.filter(([, job]) => !isOlder(job, WRITING)).map(([id]) => id),
          known.filter(([, { isDone }]) => isDone).map(([id]) => id),
        ],
      );
      for (const [id, job] of known) {
        if (isOlder(job, MEMORY) && jobs.get(id) === job) jobs.delete(id);
      }
      for (const [poolId, at] of gone) if (at < now - MEMORY) ended.delete(poolId);
      return rows[0]?.freed ?? 0;
    },
  };
}
