import { setTimeout as delay } from "node:timers/promises";
import { until } from "../test/support/until.ts";
import type { Bench } from "./support/bench.ts";
import { openEnvironment } from "./support/environment.ts";
import {
  createEmulatorClient,
  createPhones,
  notify,
  requireAccepted,
  settled,
} from "./support/pushes.ts";
import { quantile } from "./support/statistics.ts";

const SAMPLES = 200;
const WARM_UP = 10;
/** Milliseconds between two pushes, at random: nothing may fall into step with them. */
const PAUSE = { least: 20, most: 120 };

/** From the commit of notify() to the phone, one push at a time, in milliseconds of the clock. */
const bench: Bench = async (options) => {
  const environment = await openEnvironment(options);
  const { owner } = environment;
  const { host } = await environment.startEmulator();
  await environment.startWorker(host);
  const emulator = createEmulatorClient(host);
  const users = await createPhones(owner, WARM_UP + SAMPLES);

  const latencies: number[] = [];
  for (const [index, user] of users.entries()) {
    const id = await notify(owner, [user]);
    const committedAt = Date.now();
    await settled(owner, id);
    await requireAccepted(owner, id, 1);
    const [message] = await until(
      () => emulator.messages(`phone-${index + 1}`),
      (messages) => messages.length > 0,
    );
    const latency = Date.parse(message?.receivedAt as string) - committedAt;
    if (index >= WARM_UP) latencies.push(latency);
    await delay(PAUSE.least + Math.random() * (PAUSE.most - PAUSE.least));
  }
  return [
    {
      name: "notify() to the phone, p50",
      value: quantile(latencies, 0.5),
      unit: "ms",
      target: { atMost: 50 },
    },
    {
      name: "notify() to the phone, p95",
      value: quantile(latencies, 0.95),
      unit: "ms",
      target: { atMost: 150 },
    },
    { name: "notify() to the phone, slowest", value: Math.max(...latencies), unit: "ms" },
  ];
};

export default bench;
