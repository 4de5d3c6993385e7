import { randomUUID } from "node:crypto";
import { EventEmitter } from "node:events";
import {
  Logger as GraphileWorkerLogger,
  parseCrontab,
  type RunnerOptions,
  type TaskList,
} from "graphile-worker";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { Registry } from "prom-client";
import { credentialsKeys } from "../auth/keys.ts";
import { codeKey } from "../auth/proofs.ts";
import type { Config } from "../config.ts";
import { createHealthCheck } from "../database/health.ts";
import { graphileLog } from "../database/migrate.ts";
import { createPool } from "../database/pool.ts";
import { metricsOf, serveOps, watchProcess } from "../http/ops.ts";
import { createSendMail } from "../messages/mail.ts";
import { createSendSms } from "../messages/sms.ts";
import { watchPool } from "../metrics/api-metrics.ts";
import { watchQueue } from "../metrics/queue-metrics.ts";
import { createPushCounter, watchJobs, watchListen } from "../metrics/worker-metrics.ts";
import { createLanes } from "../push/lanes.ts";
import { createMessaging } from "../push/messaging.ts";
import { CRONTAB } from "./crontab.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { loadTasks } from "./load-tasks.ts";
import { watchOwnJobs } from "./own-jobs.ts";
import { type LastingRunner, startRunner } from "./runner.ts";
import type { TaskContext } from "./task.ts";
import { createTurns } from "./turns.ts";

export interface Worker {
  opsUrl: string;
  stop(): Promise<void>;
  /** Gives up at once what it is at: others go on with it. To be followed by the end of the process. */
  abandon(): Promise<void>;
}

export interface WorkerOptions {
  config: Config;
  /** The owner's connection. */
  databaseUrl: string;
  logger: Logger;
}

/**
 * Jobs that run at once, by task: a slow FCM must not hold mails back, nor 100,000 queued notifications. The last has all
 * tasks that no other names.
 */
const POOLS: readonly { tasks: readonly string[]; concurrency: number }[] = [
  { tasks: ["deliver_pushes"], concurrency: 2 },
  // A second one, because an audience may be slow.
  { tasks: ["fan_out_notification"], concurrency: 2 },
  { tasks: [], concurrency: 2 },
];
/** Tasks of pushes, which have connections of their own. */
const PUSH_POOLS = POOLS.filter(({ tasks }) => tasks.length > 0);
/** Connections of each of these. */
const PUSH_CONNECTIONS = 2;
/**
 * Statements of pushes at once, which are most of what a worker asks of the database: more do no more of them on two
 * cores, and an API that shares these waits for them. What takes longer, because it waits for somebody's lock or is a
 * developer's audience, counts no more after so many milliseconds.
 */
const PUSH_STATEMENTS = 2;
const STATEMENT_PATIENCE = 250;
/** A push that waits for its turn is no error: an audience may take a minute. Milliseconds. */
const PUSH_ACQUIRE_TIMEOUT = 60_000;
/** graphile-worker needs two connections more than jobs, for each pool; then there are the other tasks, and who looks after the queue. */
const OWN_POOL_SIZE = POOLS.reduce((sum, { concurrency }) => sum + concurrency + 2, 4);
/** Connections of a worker, its health check and its LISTEN not among them. */
export const POOL_SIZE = OWN_POOL_SIZE + PUSH_CONNECTIONS * PUSH_POOLS.length;
/** Nobody waits for an answer: a machine that is busy for seconds is no error. Milliseconds. */
const ACQUIRE_TIMEOUT = 10_000;

/** What writing outcomes may take of the drain, milliseconds. */
const RECORDING_TIME = 2000;

/** Starts the worker: it takes jobs when it resolves. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { config, databaseUrl, logger } = options;
  const stack = new AsyncDisposableStack();
  const registry = new Registry();
  let missing: () => Promise<string | undefined> | string | undefined = () => "it is starting";
  if (config.production) {
    for (const lack of unsent(config)) logger.warn(lack);
  }
  try {
    watchProcess(registry, () => missing());
    // It answers from the start, and says what is still to come.
    const ops = await serveOps({
      host: config.worker.host,
      port: config.worker.opsPort,
      ready: () => missing(),
      metrics: metricsOf(registry),
    });
    stack.defer(() => ops.close());
    const shared = { connectionString: databaseUrl, logger };
    const pool = createPool({
      ...shared,
      max: OWN_POOL_SIZE,
      applicationName: "howdah worker",
      acquireTimeout: ACQUIRE_TIMEOUT,
    });
    stack.defer(() => pool.end());
    const pushPools = new Map<string, Pool>();
    const takeTurn = createTurns(PUSH_STATEMENTS, STATEMENT_PATIENCE);
    for (const { tasks } of PUSH_POOLS) {
      const own = createPool({
        ...shared,
        max: PUSH_CONNECTIONS,
        takeTurn,
        applicationName: "howdah worker pushes",
        acquireTimeout: PUSH_ACQUIRE_TIMEOUT,
      });
      stack.defer(() => own.end());
      for (const task of tasks) pushPools.set(task, own);
    }
    const waits = watchPool(registry, pool, OWN_POOL_SIZE);
    pool.onWait = (seconds) => waits.observe(seconds);
    watchQueue(registry, pool);
    const health = await createHealthCheck({
      connectionString: databaseUrl,
      applicationName: "howdah worker health",
    });
    stack.defer(() => health.close());
    const { messaging, close } = createMessaging(messagingConfig(config));
    stack.defer(() => close());

    const [newestKey] = await credentialsKeys(config);
    const stopping = new AbortController();
    const drained = new AbortController();
    const workerId = randomUUID();
    const events = new EventEmitter();
    watchJobs(registry, events, logger);
    const isListening = watchListen(registry, events, POOLS.length);
    const batches = new Map<number, Promise<void>>();
    const jobs = watchOwnJobs(events);
    const heartbeat = await startHeartbeat({ pool, workerId, batches, jobs, logger });
    stack.defer(() => heartbeat.stop());
    const context: TaskContext = {
      pool,
      commonPool: pool,
      messaging,
      lanes: createLanes(),
      sendMail: createSendMail({ ...config, from: config.mailFrom }),
      sendSms: createSendSms({ ...config, webhook: config.smsWebhook }),
      publicUrl: config.publicUrl,
      codeKey: codeKey(newestKey),
      logger,
      workerId,
      batches,
      countPushes: createPushCounter(registry),
      isFresh: heartbeat.isFresh,
      stopping: stopping.signal,
      drained: drained.signal,
    };
    const tasks = await loadTasks((name) => ({ ...context, pool: pushPools.get(name) ?? pool }));
    const common = {
      pgPool: pool,
      events,
      logger: new GraphileWorkerLogger(graphileLog(logger)),
      noHandleSignals: true,
      // A completion that waits to be batched is lost when the process ends: the job would run twice.
      preset: {
        worker: {
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
          // Its own limit would give jobs up while they write down what they know.
          gracefulShutdownAbortTimeout: config.shutdownSeconds * 1000,
        },
      },
    };
    const begin = (own: RunnerOptions) => startRunner({ ...common, ...own }, heartbeat, logger);
    const runners: LastingRunner[] = [];
    // All at once: each has the whole time to end what it is at.
    let stopped: Promise<unknown> | undefined;
    // Also of batches whose jobs are done, because they only wait for slow answers.
    stack.defer(async () => {
      await stopped;
      await Promise.all(batches.values());
    });
    stack.defer(() => {
      stopping.abort();
      stopped = Promise.all(runners.map((runner) => runner.stop()));
      // What FCM has not answered shortly before the deadline is written down as unknown.
      const patience = Math.max(0, config.shutdownSeconds * 1000 - RECORDING_TIME);
      setTimeout(() => drained.abort(), patience).unref();
    });
    for (const pool of withTasks(tasks)) runners.push(await begin(pool));

    missing = async () => {
      const fault = await health.missing();
      if (fault !== undefined) return fault;
      if (!heartbeat.isFresh()) return "its heartbeat is overdue";
      return isListening() ? undefined : "LISTEN does not stand: it hears of jobs late";
    };
    // First of all others: who asks is told before anything is closed.
    stack.defer(() => ops.drain());

    const disposables = stack.move();
    return {
      opsUrl: `http://${config.worker.host}:${ops.port}`,
      stop: () => disposables.disposeAsync(),
      abandon: () => heartbeat.abandon(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** The pools with their tasks; what none names, and what runs by the clock, is the last one's. */
function withTasks(tasks: TaskList): RunnerOptions[] {
  return POOLS.map(({ tasks: own, concurrency }, n) => {
    const isLast = n === POOLS.length - 1;
    const taken = ([name]: [string, unknown]) =>
      isLast ? !PUSH_POOLS.some(({ tasks }) => tasks.includes(name)) : own.includes(name);
    return {
      taskList: Object.fromEntries(Object.entries(tasks).filter(taken)),
      parsedCronItems: isLast ? parseCrontab(CRONTAB) : [],
      concurrency,
    };
  });
}

/** What a deployment may leave out, and should know that it has. */
function unsent({ smtpUrl, smsWebhook, hasPublicUrl, publicUrl }: Config): string[] {
  return [
    ...(hasPublicUrl ? [] : [`PUBLIC_URL is not set: links in mails lead to ${publicUrl}`]),
    ...(smtpUrl
      ? []
      : ["SMTP_URL is not set: mails become files in DATA_DIR/mail, and reach nobody"]),
    ...(smsWebhook
      ? []
      : ["SMS_WEBHOOK_URL is not set: SMS become files in DATA_DIR/sms, and reach nobody"]),
  ];
}

/** Google, or an emulator: the one that is named, or in development the one of this machine. */
function messagingConfig(config: Config): Parameters<typeof createMessaging>[0] {
  const { fcmEmulatorHost, firebaseServiceAccount, fcmEmulatorPort, production } = config;
  if (fcmEmulatorHost !== undefined) return { kind: "emulator", host: fcmEmulatorHost };
  if (firebaseServiceAccount !== undefined) {
    return { kind: "google", serviceAccountPath: firebaseServiceAccount };
  }
  return production
    ? { kind: "google" }
    : { kind: "emulator", host: `127.0.0.1:${fcmEmulatorPort}` };
}
