import type { Messaging } from "firebase-admin/messaging";
import type { Task } from "graphile-worker";
import type { Pool } from "pg";
import type { Logger } from "pino";
import type { z } from "zod";
import type { SendMail } from "../messages/mail.ts";
import type { SendSms } from "../messages/sms.ts";
import type { PushCounter } from "../metrics/worker-metrics.ts";
import type { Lanes } from "../push/lanes.ts";

/** What a task may use besides its payload. */
export interface TaskContext {
  /** The owner's; tasks of pushes have few connections of their own. */
  pool: Pool;
  /** For what must not wait for those few. */
  commonPool: Pool;
  messaging: Messaging;
  /** In which the messages of all batches go out. */
  lanes: Lanes;
  sendMail: SendMail;
  sendSms: SendSms;
  /** PUBLIC_URL, where links lead. */
  publicUrl: string;
  /** For hashCode(). */
  codeKey: Buffer;
  logger: Logger;
  /** This process in app_private.workers. */
  workerId: string;
  /** The batches of pushes that this process is at, and when it is done: its heartbeat keeps them its own. */
  batches: Map<number, Promise<void>>;
  countPushes: PushCounter;
  /** Whether this worker's batches are still its own, by the clock: what it has not sent by then is another's. */
  isFresh(): boolean;
  /** Aborted when the worker is to stop: finish what is begun, begin nothing more. */
  stopping: AbortSignal;
  /** Aborted when there is no time left to finish: write down what is known. */
  drained: AbortSignal;
}

/** A module of tasks/: what it exports as default. */
export type TaskFactory = (context: TaskContext) => Task;

/**
 * A task: its payload is checked at run time, because anything can be in a queue. A wrong one fails
 * the job, each time it is tried, with a message that says what is wrong.
 */
export function defineTask<TPayload>(
  payload: z.ZodType<TPayload>,
  run: (payload: TPayload, context: TaskContext) => Promise<void>,
): TaskFactory {
  return (context) => async (raw) => {
    await run(payload.parse(raw), context);
  };
}
