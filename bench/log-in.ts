import { setTimeout as delay } from "node:timers/promises";
import type { Bench } from "./support/bench.ts";
import { createBystander, watchReads } from "./support/bystander.ts";
import { openEnvironment } from "./support/environment.ts";
import { createClient, LOG_IN, PASSWORD } from "./support/graphql.ts";
import { median, quantile } from "./support/statistics.ts";
import { backendCpuTimes, cpuTime } from "./support/system.ts";

const USERS = 16;
const CONCURRENCY = 8;
/** Seconds: of log-ins, and of each look at the ceiling, before and after. */
const DURATION = 12;
const CEILING_DURATION = 5;
/** Milliseconds between two reads of the bystander. */
const INTERVAL = 25;

/** Log-ins of one API process against the bare hashing that each of them has to do. */
const bench: Bench = async (options) => {
  const environment = await openEnvironment(options);
  const { owner } = environment;
  const api = await environment.startApi();
  const client = createClient(api.url);
  const identifiers = Array.from({ length: USERS }, (_, index) => `user-${index}@example.com`);
  for (const identifier of identifiers) await client.signUp(identifier);
  const bystander = await createBystander(client);

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

  const { rows } = await owner.query<{ hash: string }>(
    "select password_hash as hash from app_private.user_secrets where user_id = 1",
  );
  const ceiling = () =>
    environment.runProgram<{ perSecond: number; cpu: number }>("hash-loop.ts", [
      CEILING_DURATION,
      CONCURRENCY,
      PASSWORD,
      rows[0]?.hash as string,
    ]);

  await logInFor(1);
  const idle = await watchReads(client, bystander, INTERVAL, delay(5000));
  const ceilingBefore = await ceiling();

  const cpuBefore = {
    api: await cpuTime(api.pid),
    database: await backendCpuTimes(owner, "howdah api"),
  };
  const began = performance.now();
  const work = logInFor(DURATION);
  const meanwhile = await watchReads(client, bystander, INTERVAL, work);
  const durations = await work;
  const perSecond = durations.length / ((performance.now() - began) / 1000);
  const apiCpu = (await cpuTime(api.pid)) - cpuBefore.api;
  let databaseCpu = 0;
  for (const [pid, seconds] of await backendCpuTimes(owner, "howdah api")) {
    databaseCpu += seconds - (cpuBefore.database.get(pid) ?? 0);
  }

  const ceilingAfter = await ceiling();
  const bare = (ceilingBefore.perSecond + ceilingAfter.perSecond) / 2;
  const hashCpu = (ceilingBefore.cpu + ceilingAfter.cpu) / 2;
  const perLogIn = (seconds: number) => (seconds * 1000) / durations.length;
  const idleP99 = quantile(idle, 0.99);
  const meanwhileP99 = quantile(meanwhile, 0.99);
  return [
    { name: "bare hash verifications", value: bare, unit: "/s" },
    {
      name: "log-ins, against that",
      value: perSecond,
      unit: "/s",
      ratio: perSecond / bare,
      target: { atLeast: 0.6 },
    },
    { name: "log-in, p50", value: median(durations), unit: "ms" },
    { name: "CPU of one verification", value: hashCpu, unit: "ms" },
    { name: "API's CPU per log-in, reads included", value: perLogIn(apiCpu), unit: "ms" },
    {
      // A hash in SQL would make it more than 1.
      name: "PostgreSQL's CPU per log-in, against one verification",
      value: perLogIn(databaseCpu),
      unit: "ms",
      ratio: perLogIn(databaseCpu) / hashCpu,
      target: { atMost: 0.5 },
    },
    { name: "a bystander's read, p50, idle", value: median(idle), unit: "ms" },
    {
      name: "the same meanwhile",
      value: median(meanwhile),
      unit: "ms",
      ratio: median(meanwhile) / median(idle),
    },
    { name: "a bystander's read, p99, idle", value: idleP99, unit: "ms" },
    { name: "the same meanwhile", value: meanwhileP99, unit: "ms", ratio: meanwhileP99 / idleP99 },
  ];
};

export default bench;
