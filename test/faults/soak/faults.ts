import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { ApiProcess, Service, WorkerProcess } from "../../support/service.ts";

/** What the faults act on. The second of each is the one that dies; the first is there all the time. */
export interface Scene {
  service: Service;
  apis: [ApiProcess, ApiProcess];
  workers: [WorkerProcess, WorkerProcess];
  startSecondApi(): Promise<ApiProcess>;
  /** Between the second API process and PostgreSQL. */
  restartPooler(): Promise<void>;
}

/** Milliseconds that something is away, or stands still. */
const AWAY = 2000;

export type Fault = [name: string, happen: (scene: Scene) => Promise<void>];

/** In this order, again and again. */
export const FAULTS: Fault[] = [
  ["an API process killed", (scene) => replaceApi(scene, "SIGKILL")],
  ["PostgreSQL stopped fast, away for 2 s", (scene) => restartPostgres(scene, "fast")],
  ["a worker killed", (scene) => replaceWorker(scene, "SIGKILL")],
  [
    "LISTEN backends killed",
    ({ service }) => killBackends(service, "application_name = 'howdah live events'"),
  ],
  ["an API process told to end (SIGTERM)", (scene) => replaceApi(scene, "SIGTERM")],
  ["FCM away for 2 s (503)", (scene) => failFcm(scene, "UNAVAILABLE")],
  [
    "all backends of the API killed",
    ({ service }) => killBackends(service, "usename = 'howdah_authenticator'"),
  ],
  ["a worker told to end (SIGTERM)", (scene) => replaceWorker(scene, "SIGTERM")],
  ["PostgreSQL stopped at once, recovered", (scene) => restartPostgres(scene, "immediate")],
  ["items locked for 4 s: pools exhausted", lockItems],
  ["FCM breaks connections for 2 s", (scene) => failFcm(scene, "RESET")],
  ["an API process stands still for 2 s", standStill],
  [
    "all backends of the workers killed",
    ({ service }) => killBackends(service, "application_name = 'howdah worker'"),
  ],
  ["the pooler killed and started again", ({ restartPooler }) => restartPooler()],
  ["300 clients that never end their headers", slowClients],
];

async function replaceApi(scene: Scene, signal: NodeJS.Signals): Promise<void> {
  await scene.apis[1].ends(signal);
  scene.apis[1] = await scene.startSecondApi();
}

async function replaceWorker(scene: Scene, signal: NodeJS.Signals): Promise<void> {
  await scene.workers[1].ends(signal);
  scene.workers[1] = await scene.service.startWorker({ LOG_LEVEL: "info" });
}

async function restartPostgres({ service }: Scene, mode: "fast" | "immediate"): Promise<void> {
  await service.stopPostgres(mode);
  await delay(AWAY);
  await service.startPostgres();
}

async function killBackends(service: Service, whose: string): Promise<void> {
  await service.asSuperuser(
    `select pg_terminate_backend(pid) from pg_stat_activity where ${whose}`,
  );
}

async function failFcm({ service }: Scene, respond: "UNAVAILABLE" | "RESET"): Promise<void> {
  service.emulator.faults.add({ respond });
  await delay(AWAY);
  service.emulator.faults.clear();
}

async function lockItems({ service }: Scene): Promise<void> {
  const client = new pg.Client({ connectionString: service.superuserUrl });
  await client.connect();
  try {
    await client.query("begin");
    await client.query("lock table app_public.items in access exclusive mode");
    await delay(2 * AWAY);
    await client.query("rollback");
  } finally {
    await client.end();
  }
}

async function standStill({ apis }: Scene): Promise<void> {
  apis[1].child.kill("SIGSTOP");
  await delay(AWAY);
  apis[1].child.kill("SIGCONT");
}

async function slowClients({ apis }: Scene): Promise<void> {
  const port = Number(new URL(apis[0].url).port);
  const closed = Array.from({ length: 300 }, () => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {
      // `close` follows.
    });
    socket.on("data", () => {
      // Refused: 408.
    });
    socket.write("POST /graphql HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    return new Promise((resolve) => socket.once("close", resolve));
  });
  await Promise.all(closed);
}
