import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FcmEmulator, startFcmEmulator } from "../../src/push/emulator/emulator.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type Running, runEntry } from "../support/processes.ts";
import { createPushes, FINAL } from "../support/pushes.ts";
import { until } from "../support/until.ts";

// Worker processes of their own, ended as operators and kernels end them.
let database: TestDatabase;
let emulator: FcmEmulator;
let pushes: ReturnType<typeof createPushes>;
const running = new Set<Running>();

beforeAll(async () => {
  database = await createTestDatabase();
  emulator = await startFcmEmulator({ host: "127.0.0.1", port: 0 });
  pushes = createPushes(database);
});
afterAll(async () => {
  await Promise.all([...running].map((worker) => worker.ends("SIGKILL")));
  await emulator.close();
  await database.drop();
});

async function startWorker(environment: Record<string, string> = {}): Promise<Running> {
  const worker = runEntry("src/worker.ts", {
    DATABASE_URL: database.ownerUrl,
    FCM_EMULATOR_HOST: emulator.host,
    WORKER_OPS_PORT: "0",
    ...environment,
  });
  running.add(worker);
  await worker.prints(/"ops":/);
  return worker;
}

async function end(worker: Running, signal: NodeJS.Signals): Promise<number | null> {
  running.delete(worker);
  return worker.ends(signal);
}

async function workerIds(): Promise<string[]> {
  const { rows } = await database.owner.query("select id from app_private.workers");
  return rows.map(({ id }) => id);
}

/** A user with so many phones whose tokens begin so. */
async function userWithPhones(prefix: string, phones: number): Promise<number> {
  const { id } = await pushes.userWithDevices();
  await database.owner.query(
    `insert into app_public.device_tokens (user_id, token, device_type)
     select $1, $2 || '-' || n, 'android' from generate_series(1, $3::int) n`,
    [id, prefix, phones],
  );
  return id;
}

async function statuses(notificationId: number): Promise<Record<string, number>> {
  const { rows } = await database.owner.query(
    `select status, count(*)::int as count from app_public.notification_deliveries
     where notification_id = $1 group by 1`,
    [notificationId],
  );
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}

describe("SIGKILL", () => {
  const ROUNDS = 20;
  const PHONES = 2000;

  it("of one of two workers at a random moment, 20 rounds over 2,000 devices: all final, none missing, repeats only of what was in flight", {
    timeout: 240_000,
  }, async () => {
    emulator.faults.add({ match: "kill", respond: "ACCEPT", delay: 10 });
    const survivor = await startWorker();
    const inFlight = new Set<string>();
    const notifications: number[] = [];
    let lostBatches = 0;
    for (let round = 1; round <= ROUNDS; round += 1) {
      const before = await workerIds();
      const victim = await startWorker();
      const victimId = (await workerIds()).find((id) => !before.includes(id));
      const user = await userWithPhones(`kill-${round}`, PHONES);
      notifications.push(await pushes.notify([user]));
      await delay(Math.random() * 600);
      await end(victim, "SIGKILL");
      const { rows } = await database.owner.query(
        `select b.id, array_agg(t.token) as tokens
         from app_private.delivery_batches b
         join app_public.notification_deliveries d on d.id = any (b.delivery_ids)
         join app_public.device_tokens t on t.id = d.device_token_id
         where b.worker_id = $1 group by b.id`,
        [victimId],
      );
      lostBatches += rows.length;
      for (const { tokens } of rows) for (const token of tokens) inFlight.add(token);
    }
    const killedAt = performance.now();
    for (const id of notifications) await settledWithin(id, 60_000);
    const seconds = Math.round((performance.now() - killedAt) / 1000);

    const repeats: string[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      expect(await statuses(notifications[round - 1] as number)).toEqual({ accepted: PHONES });
      for (let n = 1; n <= PHONES; n += 1) {
        const token = `kill-${round}-${n}`;
        const { length } = emulator.phones.messages(token);
        expect(length, token).toBeGreaterThan(0);
        if (length > 1) repeats.push(token);
      }
    }
    console.log(
      `${ROUNDS} kills: ${lostBatches} batches lost, all taken up within ${seconds} s of the last kill; ` +
        `${repeats.length} of ${ROUNDS * PHONES} messages repeated.`,
    );
    expect(lostBatches).toBeGreaterThan(0);
    expect(repeats.filter((token) => !inFlight.has(token))).toEqual([]);
    expect(await end(survivor, "SIGTERM")).toBe(0);
  });

  async function settledWithin(id: number, timeout: number): Promise<void> {
    await until(
      async () =>
        (
          await database.owner.query("select status from app_public.notifications where id = $1", [
            id,
          ])
        ).rows[0].status as string,
      (status) => FINAL.includes(status),
      timeout,
    );
  }

  it("leaves what was asked for at most once as unknown, and sends the rest", {
    timeout: 90_000,
  }, async () => {
    emulator.faults.clear();
    emulator.faults.add({ match: "once", respond: "ACCEPT", delay: 2000 });
    const victim = await startWorker();
    const user = await userWithPhones("once", 700);
    const id = await pushes.notify([user], ", delivery => 'at_most_once'");
    // Of two batches the shorter one goes first, if both are there.
    await Promise.any([
      emulator.phones.nextMessage("once-1", 20_000),
      emulator.phones.nextMessage("once-501", 20_000),
    ]);
    await end(victim, "SIGKILL");
    emulator.faults.clear();
    const heir = await startWorker();
    await settledWithin(id, 60_000);
    const { unknown = 0, accepted = 0 } = await statuses(id);
    expect(unknown + accepted).toBe(700);
    expect(unknown).toBeGreaterThan(0);
    for (let n = 1; n <= 700; n += 1) {
      expect(emulator.phones.messages(`once-${n}`).length).toBeLessThan(2);
    }
    expect(await end(heir, "SIGTERM")).toBe(0);
  });
});

describe("SIGSTOP", () => {
  it("of a worker in mid-batch hands its batch to another one; when it wakes it sends no more of it", {
    timeout: 120_000,
  }, async () => {
    emulator.faults.clear();
    emulator.faults.add({ match: "stop", respond: "ACCEPT", delay: 200 });
    const sleeper = await startWorker();
    const user = await userWithPhones("stop", 500);
    const id = await pushes.notify([user]);
    await emulator.phones.nextMessage("stop-1", 10_000);
    sleeper.child.kill("SIGSTOP");
    try {
      const heir = await startWorker();
      await until(
        () => statuses(id),
        ({ accepted = 0 }) => accepted === 500,
        60_000,
      );
      const repeated = () =>
        Array.from({ length: 500 }, (_, n) => emulator.phones.messages(`stop-${n + 1}`).length);
      const before = repeated();
      sleeper.child.kill("SIGCONT");
      // Awake: its heartbeat is back.
      await until(
        async () => (await workerIds()).length,
        (alive) => alive === 2,
        20_000,
      );
      expect(await end(sleeper, "SIGTERM")).toBe(0);
      // Of the 64 connections each may have had one message under way.
      const after = repeated();
      const more = after.filter((count, n) => count > (before[n] as number)).length;
      expect(more).toBeLessThanOrEqual(64);
      expect(Math.max(...after)).toBeLessThanOrEqual(3);
      expect(await statuses(id)).toEqual({ accepted: 500 });
      expect(await end(heir, "SIGTERM")).toBe(0);
    } finally {
      sleeper.child.kill("SIGCONT");
    }
  });
});

describe("SIGTERM", () => {
  it("in mid-batch repeats no message and loses none: what was not handed to FCM goes back", {
    timeout: 60_000,
  }, async () => {
    emulator.faults.clear();
    emulator.faults.add({ match: "term", respond: "ACCEPT", delay: 100 });
    const first = await startWorker();
    const user = await userWithPhones("term", 1500);
    const id = await pushes.notify([user]);
    await emulator.phones.nextMessage("term-1", 10_000);
    expect(await end(first, "SIGTERM")).toBe(0);
    const { accepted = 0, queued = 0, ...others } = await statuses(id);
    expect(others).toEqual({});
    expect(accepted).toBeGreaterThan(0);
    expect(queued).toBeGreaterThan(0);
    expect(await workerIds()).toEqual([]);

    const second = await startWorker();
    await until(
      () => statuses(id),
      ({ accepted: all = 0 }) => all === 1500,
      20_000,
    );
    for (let n = 1; n <= 1500; n += 1) {
      expect(emulator.phones.messages(`term-${n}`)).toHaveLength(1);
    }
    expect(await end(second, "SIGTERM")).toBe(0);
  });

  it("while an audience is looked up ends at once, and another worker goes on with it", {
    timeout: 30_000,
  }, async () => {
    const { owner } = database;
    const user = await userWithPhones("audience", 1);
    await owner.query("create table app_private.test_slowness as select 60 as seconds");
    await owner.query(
      `create function app_audiences.slow() returns setof int language sql volatile as $$
         select ${user} from app_private.test_slowness, pg_sleep(seconds) $$`,
    );
    const worker = await startWorker();
    const { rows } = await owner.query(
      "select id from app_private.notify(null, 'e', 'm', audience => 'slow')",
    );
    await until(
      async () =>
        (
          await owner.query(
            "select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()",
          )
        ).rowCount,
      (sleeping) => sleeping === 1,
    );
    const started = performance.now();
    expect(await end(worker, "SIGTERM")).toBe(0);
    expect(performance.now() - started).toBeLessThan(4000);
    await owner.query("update app_private.test_slowness set seconds = 0");
    const heir = await startWorker();
    await until(
      () => statuses(rows[0].id),
      ({ accepted = 0 }) => accepted === 1,
    );
    expect(await end(heir, "SIGTERM")).toBe(0);
  });

  it("while FCM hangs ends within SHUTDOWN_SECONDS, and writes down what nobody knows", {
    timeout: 30_000,
  }, async () => {
    emulator.faults.clear();
    const worker = await startWorker({ SHUTDOWN_SECONDS: "4" });
    const user = await userWithPhones("hang", 3);
    const id = await pushes.notify([user], ", delivery => 'at_most_once'");
    await until(
      () => statuses(id),
      ({ sending = 0 }) => sending === 3,
    );
    const started = performance.now();
    expect(await end(worker, "SIGTERM")).toBe(0);
    expect(performance.now() - started).toBeLessThan(4000);
    expect(await statuses(id)).toEqual({ unknown: 3 });
  });
});
