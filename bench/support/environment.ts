import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Pool } from "pg";
import { pino } from "pino";
import { loadConfig } from "../../src/config.ts";
import { openConnections } from "../../src/database/connections.ts";
import { migrateDatabase } from "../../src/database/migrate.ts";
import { createPool } from "../../src/database/pool.ts";
import { nodeFlagsOf, type Running, run } from "../../test/support/processes.ts";
import type { BenchOptions } from "./bench.ts";

export interface Environment {
  /** As the owner, who sees everything. */
  owner: Pool;
  /** Where keys and secrets are. */
  dataDirectory: string;
  /** The API's connection. */
  authenticatorUrl: string;
  /** The API by its real entry: its URL. */
  startApi(env?: Record<string, string>): Promise<{ url: string; pid: number }>;
  /** The worker by its real entry, with this emulator where Google would be. */
  startWorker(emulatorHost: string): Promise<{ pid: number }>;
  /** The emulator by its real entry: `host:port`. */
  startEmulator(): Promise<{ host: string; pid: number }>;
  /** A server of bench/: where it listens. */
  startProgram(
    file: string,
    args: readonly (string | number)[],
  ): Promise<{ url: string; pid: number }>;
  /** subscribers.ts, once all its sockets have subscribed: then the changes may begin. */
  startSubscribers(
    args: readonly (string | number)[],
  ): Promise<{ result(): Promise<{ events: number; p50: number; p95: number }> }>;
  /** A program of bench/ in a process of its own: the JSON that it prints. */
  runProgram<T>(file: string, args: readonly (string | number)[]): Promise<T>;
}

/** How long a process may take to start, and a program to end, milliseconds. */
const START_PATIENCE = 60_000;
const PROGRAM_PATIENCE = 60_000;
const SUBSCRIBE_PATIENCE = 180_000;

/** A migrated database on an embedded cluster of its own, durable as in production. */
export async function openEnvironment(options: BenchOptions): Promise<Environment> {
  const { stack, cpuProfiles } = options;
  const dataDirectory = await mkdtemp(join(tmpdir(), "howdah-bench-"));
  stack.defer(() => rm(dataDirectory, { recursive: true, force: true }));
  await chmod(dataDirectory, 0o755);
  const opening = openConnections(loadConfig("start", { DATA_DIR: dataDirectory }));
  // Before it is awaited: an interrupt may come while the cluster starts.
  stack.defer(() =>
    opening.then(
      (connections) => connections.stop(),
      () => {
        // What did not start needs no stop; the error is the bench's.
      },
    ),
  );
  const connections = await opening;
  const { ownerUrl, authenticatorUrl, authenticatorPassword } = connections;
  if (ownerUrl === undefined || authenticatorUrl === undefined) throw new Error("No database.");
  const logger = pino({ level: "silent" });
  await migrateDatabase({ databaseUrl: ownerUrl, authenticatorPassword, logger });
  const owner = createPool({
    connectionString: ownerUrl,
    max: 4,
    applicationName: "howdah bench",
    logger,
    // Who measures a busy machine waits; that shows in the figures.
    acquireTimeout: PROGRAM_PATIENCE,
  });
  stack.defer(() => owner.end());

  const shared = {
    DATA_DIR: dataDirectory,
    DATABASE_URL: ownerUrl,
    AUTHENTICATOR_DATABASE_URL: authenticatorUrl,
    // What is still going on when a bench ends is of no interest.
    SHUTDOWN_SECONDS: "1",
  };

  /** Nothing may be started that nobody would end: both happen in one step. */
  function start(file: string, args: readonly string[], env: Record<string, string>): Running {
    if (stack.disposed) throw new Error("The bench was interrupted.");
    const profile =
      cpuProfiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${cpuProfiles}`];
    const name = file.split("/").at(-1)?.replace(".ts", "");
    const named =
      cpuProfiles === undefined ? [] : [`--cpu-prof-name=${name}-${Date.now()}.cpuprofile`];
    const flags = [...nodeFlagsOf(file), ...profile, ...named];
    const running = run(process.execPath, [...flags, resolve(file), ...args], { env });
    stack.defer(() => end(running));
    return running;
  }

  return {
    owner,
    dataDirectory,
    authenticatorUrl,
    async startApi(more = {}) {
      const env = { ...shared, PORT: "0", OPS_PORT: "0", RATE_LIMIT_FACTOR: "100000", ...more };
      const api = start("src/api.ts", [], env);
      const [, url] = await api.prints(/"url":"([^"]+)".*"API ready"/, START_PATIENCE);
      return { url: url as string, pid: api.child.pid as number };
    },
    async startWorker(emulatorHost) {
      const env = { ...shared, WORKER_OPS_PORT: "0", FCM_EMULATOR_HOST: emulatorHost };
      const worker = start("src/worker.ts", [], env);
      await worker.prints(/"worker ready"/, START_PATIENCE);
      return { pid: worker.child.pid as number };
    },
    async startEmulator() {
      const emulator = start("src/fcm-emulator.ts", [], { FCM_EMULATOR_PORT: "0" });
      const [, host] = await emulator.prints(/FCM_EMULATOR_HOST=([^,]+),/, START_PATIENCE);
      return { host: host as string, pid: emulator.child.pid as number };
    },
    async startProgram(file, args) {
      const program = start(file, args.map(String), {});
      const [, text] = await program.prints(/^(\{.*\})$/m, START_PATIENCE);
      const { url } = JSON.parse(text as string) as { url: string };
      return { url, pid: program.child.pid as number };
    },
    async startSubscribers(args) {
      const program = start("bench/support/subscribers.ts", args.map(String), {});
      await program.prints(/all subscribed/, SUBSCRIBE_PATIENCE);
      return {
        async result() {
          const [, text] = await program.prints(/^(\{.*\})$/m, 2 * PROGRAM_PATIENCE);
          return JSON.parse(text as string);
        },
      };
    },
    async runProgram<T>(file: string, args: readonly (string | number)[]) {
      const program = start(join("bench/support", file), args.map(String), {});
      const [, result] = await program.prints(/^(\{.*\})$/m, PROGRAM_PATIENCE);
      await program.ends();
      return JSON.parse(result as string) as T;
    },
  };
}

/** Asks a process to stop, and ends it by its id where it does not within 3 seconds. */
async function end(running: Running): Promise<void> {
  const timer = setTimeout(() => running.child.kill("SIGKILL"), 3000);
  await running.ends("SIGTERM");
  clearTimeout(timer);
}
