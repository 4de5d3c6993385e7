import type { Pool } from "pg";
import type { Logger } from "pino";

/** Between two looks, milliseconds. */
const INTERVAL = 1000;
/** A replica that shows what is older than this is not read from, milliseconds. */
const MAX_LAG = 5000;

export type ReadFrom = "replica" | "primary";

/** A copy of the database that reads may go to. */
export interface Replica {
  pool: Pool;
  /** Whether it answers and is no more than 5 s behind. */
  isUsable(): boolean;
  /** What it shows is at most so many seconds old; undefined while it does not answer. */
  lag(): number | undefined;
  /** Where a read was answered, for the metrics. */
  counted(from: ReadFrom): void;
  /** It did not answer a read: nobody asks it again before it has answered a look. */
  failed(error: unknown): void;
  close(): Promise<void>;
}

/** Looks each second how far behind it is: whether it has replayed what the primary had written. */
export function watchReplica(options: {
  primary: Pool;
  pool: Pool;
  logger: Logger;
  counted: Replica["counted"];
}): Replica {
  const { primary, pool, logger, counted } = options;
  let asked: { at: number; lsn: string } | undefined;
  let freshAt: number | undefined;
  let wasUsable: boolean | undefined;
  let isReplica = false;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const lag = () => (freshAt === undefined ? undefined : performance.now() - freshAt);
  const isUsable = () => (lag() ?? Number.POSITIVE_INFINITY) < MAX_LAG;

  async function look(): Promise<void> {
    if (!asked) {
      const at = performance.now();
      const { rows } = await primary.query<{ lsn: string }>(
        "select pg_current_wal_flush_lsn() as lsn",
      );
      asked = { at, lsn: rows[0]?.lsn as string };
    }
    const { rows } = await pool.query<{ is_replica: boolean; has_replayed: boolean }>(
      // One that was promoted, or that is the primary itself, has all there is.
      `select pg_is_in_recovery() as is_replica,
         not pg_is_in_recovery() or pg_last_wal_replay_lsn() >= $1::pg_lsn as has_replayed`,
      [asked.lsn],
    );
    isReplica = rows[0]?.is_replica ?? false;
    if (!rows[0]?.has_replayed) return;
    freshAt = asked.at;
    asked = undefined;
  }

  async function lookOn(): Promise<void> {
    try {
      await look();
    } catch (error) {
      failed(error);
    }
    if (isClosed) return;
    if (isUsable() !== wasUsable) {
      wasUsable = isUsable();
      if (wasUsable && isReplica) logger.info("reads go to the replica");
      else if (wasUsable) logger.warn("READ_DATABASE_URL leads to a primary, not to a replica");
      else logger.warn({ lag: lag() }, "the replica is away or behind: reads go to the primary");
    }
    timer = setTimeout(() => {
      looking = lookOn();
    }, INTERVAL);
  }

  function failed(error: unknown): void {
    freshAt = undefined;
    logger.debug({ error: (error as Error).message }, "the replica does not answer");
  }

  let looking = lookOn();
  return {
    pool,
    isUsable,
    lag: () => {
      const milliseconds = lag();
      return milliseconds === undefined ? undefined : milliseconds / 1000;
    },
    counted,
    failed,
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await looking;
      clearTimeout(timer);
      await pool.end();
    },
  };
}
