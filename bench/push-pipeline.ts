import { setTimeout as delay } from "node:timers/promises";
import { until } from "../test/support/until.ts";
import type { Bench, Figure } from "./support/bench.ts";
import { compareReads, createBystander, type Watched, watchReads } from "./support/bystander.ts";
import { type Environment, openEnvironment } from "./support/environment.ts";
import { createClient } from "./support/graphql.ts";
import {
  createEmulatorClient,
  createPhones,
  notify,
  requireAccepted,
  settled,
} from "./support/pushes.ts";
import { median } from "./support/statistics.ts";
import { beNice, cpuTime, peakMemory } from "./support/system.ts";

/** Rounds of bare loop and pipeline. */
const ROUNDS = 3;
/** Devices of the pushes that do not count. */
const WARM_UP = 2000;
/** Pushes that a bystander meets. */
const BYSTANDER_ROUNDS = 3;
/** Milliseconds between two reads of the bystander, of those that do not count, and between a push and idleness. */
const INTERVAL = 10;
const WARM_UP_READS = 5000;
const SETTLING = 500;
/** Where an API is there: half of its CPU weight, as in deploy/kubernetes and docker-compose.yml. */
const WORKER_NICE = 3;
/** What is elsewhere in truth then takes what those of this machine leave. */
const EMULATOR_NICE = 19;

/** What bare-push-loop.ts prints: messages a second, and the CPU of its process and the emulator. */
interface Bare {
  perSecond: number;
  cores: number;
  emulatorCores: number;
}

interface Round {
  bare: Bare;
  perSecond: number;
  /** CPU of the worker. */
  cores: number;
}

/** From notify() to every outcome written, against firebase-admin alone and the same emulator. */
const bench: Bench = async (options) => {
  const { devices } = options;
  const environment = await openEnvironment(options);
  const { owner } = environment;
  const { host, pid: emulatorPid } = await environment.startEmulator();
  const emulator = createEmulatorClient(host);
  const worker = await environment.startWorker(host);
  const users = await createPhones(owner, devices);

  /** One push to this many devices, each of which gets it once: the seconds it took. `meanwhile` is over when that is. */
  async function push(
    count: number,
    meanwhile?: (sending: Promise<unknown>) => Promise<void>,
  ): Promise<number> {
    await emulator.forget();
    const began = performance.now();
    const sending = notify(owner, users.slice(0, count)).then(async (notification) => {
      await settled(owner, notification);
      return notification;
    });
    await meanwhile?.(sending);
    const id = await sending;
    const seconds = (performance.now() - began) / 1000;
    await requireAccepted(owner, id, count);
    const phones = await emulator.phones();
    if (phones.length !== count || phones.some(({ messages }) => messages !== 1)) {
      throw new Error(`${count} devices, ${phones.length} phones, not one message each.`);
    }
    await emulator.forget();
    return seconds;
  }

  await push(WARM_UP);
  const rounds: Round[] = [];
  while (rounds.length < ROUNDS) {
    const bare = await environment.runProgram<Bare>("bare-push-loop.ts", [
      host,
      emulatorPid,
      devices,
    ]);
    const cpuBefore = await cpuTime(worker.pid);
    const seconds = await push(devices);
    const cores = ((await cpuTime(worker.pid)) - cpuBefore) / seconds;
    rounds.push({ bare, perSecond: devices / seconds, cores });
  }
  const memory = await peakMemory(worker.pid);
  const of = (figure: (round: Round) => number) => median(rounds.map(figure));
  const pushes = of(({ perSecond }) => perSecond);
  return [
    { name: "bare firebase-admin loop", value: of(({ bare }) => bare.perSecond), unit: "/s" },
    { name: "its CPU", value: of(({ bare }) => bare.cores), unit: "cores" },
    { name: "the emulator's CPU then", value: of(({ bare }) => bare.emulatorCores), unit: "cores" },
    {
      name: "pushes, against the bare loop",
      value: pushes,
      unit: "/s",
      ratio: of(({ perSecond, bare }) => perSecond / bare.perSecond),
      target: { atLeast: 0.6 },
    },
    { name: "pushes", value: pushes, unit: "/s", target: { atLeast: 4000 } },
    { name: "worker's CPU then", value: of(({ cores }) => cores), unit: "cores" },
    { name: "worker, most memory", value: memory, unit: "MB", target: { atMost: 300 } },
    ...(await bystanderFigures(
      environment,
      { worker: worker.pid, emulator: emulatorPid },
      (watch) => push(devices, watch),
    )),
    await fanOutFigure(environment, emulator, users),
  ];
};

/** What an API read takes, idle and while the worker pushes, in turns that are equally long. */
async function bystanderFigures(
  environment: Environment,
  pids: { worker: number; emulator: number },
  work: (meanwhile: (working: Promise<unknown>) => Promise<void>) => Promise<number>,
): Promise<Figure[]> {
  const client = createClient((await environment.startApi()).url);
  await beNice(pids.worker, WORKER_NICE);
  await beNice(pids.emulator, EMULATOR_NICE);
  const token = await createBystander(client);
  await watchReads(client, token, INTERVAL, delay(WARM_UP_READS));
  const rounds: Watched[] = [];
  while (rounds.length < BYSTANDER_ROUNDS) {
    let meanwhile: number[] = [];
    const seconds = await work(async (working) => {
      meanwhile = await watchReads(client, token, INTERVAL, working);
    });
    // What the push left to be done is not idle.
    await delay(SETTLING);
    const idle = await watchReads(client, token, INTERVAL, delay(seconds * 1000));
    rounds.push({ idle, meanwhile });
  }
  return compareReads(rounds, 2);
}

/** Deliveries written a second, while the emulator answers nobody; no push ends after that. */
async function fanOutFigure(
  { owner }: Environment,
  emulator: ReturnType<typeof createEmulatorClient>,
  users: number[],
): Promise<Figure> {
  await emulator.hang();
  const id = await notify(owner, users);
  const began = performance.now();
  await until(
    async () => {
      const { rows } = await owner.query<{ users: number }>(
        "select fanned_out_users as users from app_public.notifications where id = $1",
        [id],
      );
      return rows[0]?.users ?? 0;
    },
    (done) => done >= users.length,
    60_000,
  );
  const seconds = (performance.now() - began) / 1000;
  const { rows } = await owner.query<{ written: number }>(
    `select count(*)::int as written from app_public.notification_deliveries
     where notification_id = $1`,
    [id],
  );
  if (rows[0]?.written !== users.length) throw new Error(`${rows[0]?.written} deliveries.`);
  return {
    name: "fan-out: deliveries written",
    value: users.length / seconds,
    unit: "/s",
    target: { atLeast: 50_000 },
  };
}

export default bench;
