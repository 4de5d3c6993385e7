import { setTimeout as delay } from "node:timers/promises";
import type { Bench, Figure } from "./support/bench.ts";
import { type Environment, openEnvironment } from "./support/environment.ts";
import { createClient } from "./support/graphql.ts";
import { peakMemory } from "./support/system.ts";

const SOCKETS_OF_A_USER = 50;
/** Changes a second, and for how many seconds. */
const RATE = 100;
const SECONDS = 10;
const WARM_UP = 300;

/** From the write of a row to the sockets that follow it: one API process, many sockets. */
const bench: Bench = async (options) => {
  const environment = await openEnvironment(options);
  return [...(await measure(environment, 1000)), ...(await measure(environment, 5000))];
};

async function measure(environment: Environment, sockets: number): Promise<Figure[]> {
  const { owner } = environment;
  const api = await environment.startApi();
  const client = createClient(api.url);
  const tokens: string[] = [];
  while (tokens.length < sockets / SOCKETS_OF_A_USER) {
    tokens.push(await client.signUp(`follower-${sockets}-${tokens.length}@example.com`));
  }
  const { rows } = await owner.query<{ id: number }>(
    `insert into app_public.items (user_id, title)
     select id, 'followed' from app_public.users where email like $1 returning id`,
    [`follower-${sockets}-%`],
  );
  const changes = RATE * SECONDS + WARM_UP;
  const subscribers = await environment.startSubscribers([
    api.url,
    SOCKETS_OF_A_USER,
    changes * SOCKETS_OF_A_USER,
    WARM_UP * SOCKETS_OF_A_USER,
    tokens.join(","),
  ]);
  const began = performance.now();
  for (let n = 0; n < changes; n += 1) {
    const due = began + (n * 1000) / RATE;
    await delay(Math.max(0, due - performance.now()));
    void owner.query("update app_public.items set title = $1 where id = $2", [
      String(Date.now()),
      rows[n % rows.length]?.id,
    ]);
  }
  const { events, p50, p95 } = await subscribers.result();
  if (events !== changes * SOCKETS_OF_A_USER)
    throw new Error(`${events} events of ${changes * SOCKETS_OF_A_USER}.`);
  const memory = await peakMemory(api.pid);
  const about = `${sockets.toLocaleString("en")} sockets`;
  const isAll = sockets === 5000;
  return [
    { name: `${about}: from the write to the client, p50`, value: p50, unit: "ms" },
    {
      name: `${about}: from the write to the client, p95`,
      value: p95,
      unit: "ms",
      ...(isAll ? { target: { atMost: 100 } } : {}),
    },
    {
      name: `${about}: API, most memory`,
      value: memory,
      unit: "MB",
      ...(isAll ? { target: { atMost: 600 } } : {}),
    },
  ];
}

export default bench;
