import { z } from "zod";
import { isLocked, LOCKED_PATIENCE } from "../src/push/locked.ts";
import { defineTask } from "../src/tasks/task.ts";

/** Users a statement: large enough to be quick, small enough to let others at the tables. */
const CHUNK = 5000;
/** Milliseconds after which other fan-outs have their turn. */
const TURN = 500;
/** Of one that has had a turn: behind mails and behind those that begin. */
const LATER = 5;
/** Seconds that a statement may take, a developer's audience above all. */
const STATEMENT_PATIENCE = 60;

/** A worker that is suspended in a chunk lets it go after so long, seconds. */
const SUSPENDED_PATIENCE = 20;
/** Between two attempts to give a chunk up, milliseconds: one may come before its statement. */
const CANCEL_INTERVAL = 200;

/** Writes the inbox rows and deliveries of who is due, chunk by chunk; SQL remembers where it is. */
export default defineTask(
  z.object({ notificationId: z.int() }),
  async ({ notificationId }, { pool, commonPool, stopping, logger }) => {
    /** One chunk, all or nothing; it is given up at once where the worker stops. */
    async function writeChunk(): Promise<boolean> {
      const client = await pool.connect();
      let canceling: NodeJS.Timeout | undefined;
      let cancel = () => {};
      try {
        await client.query("select app_private.begin_fan_out($1)", [notificationId]);
        await client.query("begin");
        const { rows } = await client.query<{ pid: number }>(
          `select pg_backend_pid() as pid, set_config('statement_timeout', $1, true),
             set_config('idle_in_transaction_session_timeout', $2, true)`,
          [`${STATEMENT_PATIENCE}s`, `${SUSPENDED_PATIENCE}s`],
        );
        cancel = () => {
          // Where the database is away, the statement ends by itself.
          commonPool.query("select pg_cancel_backend($1)", [rows[0]?.pid]).catch(() => undefined);
          canceling = setTimeout(cancel, CANCEL_INTERVAL);
        };
        stopping.addEventListener("abort", cancel);
        stopping.throwIfAborted();
        const { rows: chunks } = await client.query<{ more: boolean }>(
          "select has_more as more from app_private.fan_out_notification($1, $2)",
          [notificationId, CHUNK],
        );
        stopping.removeEventListener("abort", cancel);
        clearTimeout(canceling);
        await client.query("commit");
        return chunks[0]?.more ?? false;
      } catch (error) {
        stopping.removeEventListener("abort", cancel);
        clearTimeout(canceling);
        await client.query("rollback").catch(() => undefined);
        throw error;
      } finally {
        client.release();
      }
    }

    let wait = 0;
    const end = performance.now() + TURN;
    try {
      let hasMore = true;
      while (hasMore && performance.now() < end && !stopping.aborted) hasMore = await writeChunk();
      if (!hasMore) return;
    } catch (error) {
      if (isLocked(error)) {
        logger.warn(
          { notificationId },
          "a fan-out waits for a lock that another transaction holds",
        );
        wait = LOCKED_PATIENCE;
      } else if (!stopping.aborted) throw error;
    }
    await commonPool.query(
      "select app_private.schedule_fan_out($1, now() + make_interval(secs => $2), $3)",
      [notificationId, wait, LATER],
    );
  },
);
