import { setTimeout as delay } from "node:timers/promises";
import type { Bench } from "./support/bench.ts";
import { compareReads, createBystander, watchReads } from "./support/bystander.ts";
import { openEnvironment } from "./support/environment.ts";
import { createClient, LOG_IN, PASSWORD } from "./support/graphql.ts";
import { median } from "./support/statistics.ts";
import { backendCpuTime, cpuTime } from "./support/system.ts";

const USERS = 16;
const CONCURRENCY = 8;
/** Rounds of bare hashing and log-ins: neighbours on the machine come and go. */
const ROUNDS = 4;
/** Seconds of a round. */
const HASHING = 3;
const LOG_INS = 4;
/** How long the bystander is watched idle, milliseconds. */
const IDLE = 5000;
/** Milliseconds between two reads of the bystander. */
const INTERVAL = 25;

/** What hash-loop.ts prints: verifications a second, and the CPU of one, milliseconds. */
interface Bare {
  perSecond: number;
  cpu: number;
}

interface Round {
  bare: Bare;
  perSecond: number;
  /** CPU per log-in, milliseconds; reads of the bystander are in it. */
  apiCpu: number;
  databaseCpu: number;
}

/** Log-ins of one API process against the bare hashing that each of them has to do. */
const bench: Bench = async (options) => {
  const environment = await openEnvironment(options);
  const { owner } = environment;
  const api = await environment.startApi();
  const client = createClient(api.url);
  const identifiers = Array.from({ length: USERS }, (_, index) => `user-${index}@example.com`);
  for (const identifier of identifiers) await client.signUp(identifier);
  const bystander = await createBystander(client);

  /** Log-ins, CONCURRENCY at a time: how long each took, milliseconds. */
  async function logInFor(seconds: number): Promise<number[]> {
    const end = performance.now() + seconds * 1000;
    const durations: number[] = [];
    let next = 0;
    await Promise.all(
      Array.from({ length: CONCURRENCY }, async () => {
        while (performance.now() < end) {
          const identifier = identifiers[next++ % USERS];
          const { body, milliseconds } = await client.post(LOG_IN, {
            input: { identifier, password: PASSWORD },
          });
          if (!body.includes("accessToken")) throw new Error(`A log-in failed: ${body}`);
          durations.push(milliseconds);
        }
      }),
    );
    return durations;
  }

  /** CPU that the API and its backends have used, seconds. */
  const cpuTimes = async () => ({
    api: await cpuTime(api.pid),
    database: await backendCpuTime(owner, "howdah api"),
  });

  const { rows } = await owner.query<{ hash: string }>(
    "select password_hash as hash from app_private.user_secrets where user_id = 1",
  );
  const hash = rows[0]?.hash as string;
  await logInFor(1);
  const idle = await watchReads(client, bystander, INTERVAL, delay(IDLE));

  const rounds: Round[] = [];
  const durations: number[] = [];
  const meanwhile: number[] = [];
  while (rounds.length < ROUNDS) {
    const bare = await environment.runProgram<Bare>("hash-loop.ts", [
      HASHING,
      CONCURRENCY,
      PASSWORD,
      hash,
    ]);
    const before = await cpuTimes();
    const began = performance.now();
    const work = logInFor(LOG_INS);
    meanwhile.push(...(await watchReads(client, bystander, INTERVAL, work)));
    const taken = await work;
    const after = await cpuTimes();
    durations.push(...taken);
    rounds.push({
      bare,
      perSecond: (taken.length * 1000) / (performance.now() - began),
      apiCpu: ((after.api - before.api) * 1000) / taken.length,
      databaseCpu: ((after.database - before.database) * 1000) / taken.length,
    });
  }

  const of = (figure: (round: Round) => number) => median(rounds.map(figure));
  return [
    { name: "bare hash verifications", value: of(({ bare }) => bare.perSecond), unit: "/s" },
    {
      name: "log-ins, against that",
      value: of(({ perSecond }) => perSecond),
      unit: "/s",
      ratio: of(({ perSecond, bare }) => perSecond / bare.perSecond),
      target: { atLeast: 0.6 },
    },
    { name: "log-in, p50", value: median(durations), unit: "ms" },
    { name: "CPU of one verification", value: of(({ bare }) => bare.cpu), unit: "ms" },
    {
      name: "API's CPU per log-in, reads included, against that",
      value: of(({ apiCpu }) => apiCpu),
      unit: "ms",
      ratio: of(({ apiCpu, bare }) => apiCpu / bare.cpu),
    },
    {
      // A hash in SQL would make it more than 1.
      name: "PostgreSQL's CPU per log-in, against one verification",
      value: of(({ databaseCpu }) => databaseCpu),
      unit: "ms",
      ratio: of(({ databaseCpu, bare }) => databaseCpu / bare.cpu),
      target: { atMost: 0.5 },
    },
    ...compareReads([{ idle, meanwhile }]),
  ];
};

export default bench;
