import { setTimeout as delay } from "node:timers/promises";
import type { Bench } from "./support/bench.ts";
import { compareReads, createBystander, watchReads } from "./support/bystander.ts";
import { openEnvironment } from "./support/environment.ts";
import { createClient } from "./support/graphql.ts";
import { createPhones } from "./support/pushes.ts";

const JOBS = 100_000;
/** People whom these notifications are for, one each. */
const PHONES = 1000;
/** Milliseconds between two reads of the bystander, and how long it is watched. */
const INTERVAL = 10;
const WATCHED = 10_000;

/** What 100,000 queued jobs, each a notification for one device, do to an API read: while they lie there, and while a worker works them off. */
const bench: Bench = async (options) => {
  const environment = await openEnvironment(options);
  const { owner } = environment;
  const { host } = await environment.startEmulator();
  const users = await createPhones(owner, PHONES);
  const client = createClient((await environment.startApi()).url);
  const token = await createBystander(client);
  const watch = () => watchReads(client, token, INTERVAL, delay(WATCHED));
  const left = async () => {
    const { rows } = await owner.query<{ jobs: number }>(
      "select count(*)::int as jobs from graphile_worker._private_jobs",
    );
    return rows[0]?.jobs ?? 0;
  };

  await watchReads(client, token, INTERVAL, delay(1000));
  const idle = await watch();
  // Not in one transaction: no sender would.
  for (let n = 0; n < JOBS; n += PHONES) {
    await owner.query(
      "select count(app_private.notify(array[u.id], 'bench', 'A message')) from unnest($1::int[]) as u(id)",
      [users],
    );
  }
  // What autovacuum would do soon: it is the sending that is over, not the queue, which costs that.
  await owner.query("vacuum analyze");
  const queued = await left();
  if (queued < JOBS) throw new Error(`${queued} jobs.`);
  const lying = await watch();
  await environment.startWorker(host);
  const before = { jobs: await left(), at: performance.now() };
  const working = await watch();
  const done = before.jobs - (await left());
  return [
    { name: "jobs queued", value: queued, unit: "" },
    ...named("while they lie there", compareReads([{ idle, meanwhile: lying }], 2)),
    ...named(
      "while one worker works them off",
      compareReads([{ idle, meanwhile: working }], 2),
    ).filter(({ name }) => !name.endsWith("idle")),
    {
      name: "jobs done meanwhile, one device each",
      value: (done / (performance.now() - before.at)) * 1000,
      unit: "/s",
    },
  ];
};

function named(when: string, figures: ReturnType<typeof compareReads>) {
  return figures.map((figure) =>
    figure.name === "the same meanwhile" ? { ...figure, name: `the same ${when}` } : figure,
  );
}

export default bench;
