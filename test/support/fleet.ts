import { type FcmEmulator, startFcmEmulator } from "../../src/push/emulator/emulator.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { type Running, runEntry } from "./processes.ts";
import { createPushes, FINAL } from "./pushes.ts";
import { until } from "./until.ts";

/** A worker process, and by what name the database knows it. */
export interface FleetWorker extends Running {
  id: string;
}

/** Worker processes of a test's own, to be ended as operators and kernels end them. */
export interface Fleet extends AsyncDisposable {
  database: TestDatabase;
  emulator: FcmEmulator;
  pushes: ReturnType<typeof createPushes>;
  /** One at a time. */
  start(environment?: Record<string, string>): Promise<FleetWorker>;
  end(worker: FleetWorker, signal: NodeJS.Signals): Promise<number | null>;
  /** Those that the database takes for alive. */
  workerIds(): Promise<string[]>;
  /** A user with so many phones, whose tokens are `prefix-1` and so on. */
  userWithPhones(prefix: string, phones: number): Promise<number>;
  /** How many deliveries have which status. */
  statuses(notificationId: number): Promise<Record<string, number>>;
  /** Waits for the end of a notification: its status. */
  settled(notificationId: number, timeout: number): Promise<string>;
}

/** A database and an emulator for it; all of it goes with the test. */
export async function createFleet(): Promise<Fleet> {
  const database = await createTestDatabase();
  const emulator = await startFcmEmulator({ host: "127.0.0.1", port: 0 });
  const pushes = createPushes(database);
  const { owner } = database;
  const running = new Set<Running>();
  const known = new Set<string>();

  async function workerIds(): Promise<string[]> {
    const { rows } = await owner.query("select id from app_private.workers");
    return rows.map(({ id }) => id);
  }

  return {
    database,
    emulator,
    pushes,
    async start(environment = {}) {
      const worker = runEntry("src/worker.ts", {
        DATABASE_URL: database.ownerUrl,
        FCM_EMULATOR_HOST: emulator.host,
        WORKER_OPS_PORT: "0",
        ...environment,
      });
      running.add(worker);
      await worker.prints(/"ops":/);
      const id = (await workerIds()).find((one) => !known.has(one)) as string;
      known.add(id);
      return { ...worker, id };
    },
    end: (worker, signal) => worker.ends(signal),
    workerIds,
    async userWithPhones(prefix, phones) {
      const { id } = await pushes.userWithDevices();
      await owner.query(
        `insert into app_public.device_tokens (user_id, token, device_type)
         select $1, $2 || '-' || n, 'android' from generate_series(1, $3::int) n`,
        [id, prefix, phones],
      );
      return id;
    },
    async statuses(notificationId) {
      const { rows } = await owner.query(
        `select status, count(*)::int as count from app_public.notification_deliveries
         where notification_id = $1 group by 1`,
        [notificationId],
      );
      return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
    },
    settled: (notificationId, timeout) =>
      until(
        async () =>
          (
            await owner.query("select status from app_public.notifications where id = $1", [
              notificationId,
            ])
          ).rows[0].status as string,
        (status) => FINAL.includes(status),
        timeout,
      ),
    async [Symbol.asyncDispose]() {
      await Promise.all([...running].map((worker) => worker.ends("SIGKILL")));
      await emulator.close();
      await database.drop();
    },
  };
}
