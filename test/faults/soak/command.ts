import { fork } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { freePort } from "../../support/free-port.ts";
import { startPgBouncer } from "../../support/pgbouncer.ts";
import { createService } from "../../support/service.ts";
import { until } from "../../support/until.ts";
import { FAULTS, type Scene } from "./faults.ts";
import { about, formatTable, isFlat, type Row, sumUp } from "./report.ts";
import { add, emptyTally, type FromClient, type Tally, type ToClient } from "./tally.ts";

const HELP = `npm run faults -- [--minutes N] [--every SECONDS] [--write]

Two API processes (one behind PgBouncer), two workers and an FCM emulator under the load of two client
processes, and a fault every 20 seconds. Says of each fault what was lost; exit 1 where that is anything.

  --minutes  how long, 10
  --every    seconds from one fault to the next, 20
  --write    puts the table into docs/operating.md`;

const CLIENTS = 2;
/** How long all must be well again after a fault, and all pushes out at the end; milliseconds. */
const RECOVERY = 120_000;
const FINAL = "('sent', 'partial', 'failed', 'no_devices', 'canceled', 'expired')";
const PAGE = resolve(import.meta.dirname, "../../../docs/operating.md");

/** `npm run faults`. */
export async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "10" },
      every: { type: "string", default: "20" },
      write: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const [minutes, every] = [Number(values.minutes), Number(values.every)];
  if (values.help || !(minutes > 0 && minutes <= 60) || !(every >= 5)) {
    console.error(HELP);
    process.exit(values.help ? 0 : 2);
  }
  await using stack = new AsyncDisposableStack();
  let isInterrupted = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      isInterrupted = true;
    });
  }
  const { scene, clients } = await setUp(stack);
  const rows: Row[] = [];
  const arrived = new Set<string>();
  const memory: number[] = [];
  const sampling = setInterval(() => void sample(scene).then((sum) => memory.push(sum)), 2000);
  stack.defer(() => clearInterval(sampling));
  console.log(`load for ${minutes} minutes, a fault every ${every} seconds`);
  // The first stretch has none: what it loses is nobody's fault.
  await collect(clients);
  const end = Date.now() + minutes * 60_000;
  await delay(every * 1000);
  const calm = await collect(clients);
  rows.push({ name: "none", tally: calm, times: 1, recovery: [], lostItems: [], lostPushes: [] });

  for (let n = 0; Date.now() < end && !isInterrupted; n += 1) {
    const [name, happen] = FAULTS[n % FAULTS.length] as (typeof FAULTS)[number];
    const began = Date.now();
    await happen(scene);
    const mended = Date.now();
    await until(
      () => allReady(scene),
      (ready) => ready,
      RECOVERY,
    );
    const recovery = (Date.now() - mended) / 1000;
    await delay(Math.max(0, began + every * 1000 - Date.now()));
    const tally = await collect(clients);
    noteArrivals(scene, arrived);
    const lostItems = await missingItems(scene, tally);
    const { mixedUp, lostSessions, gaps } = tally;
    rows.push({ name, tally, times: 1, recovery: [recovery], lostItems, lostPushes: [] });
    const losses = [lostItems.length, mixedUp, lostSessions, gaps].join(", ");
    console.log(
      `${name}: ready after ${recovery.toFixed(1)} s; ${tally.answered} answered, failed ${JSON.stringify(tally.failed)}; lost ${losses}`,
    );
  }
  clearInterval(sampling);
  for (const client of clients) client.send("stop" satisfies ToClient);
  await findLostPushes(scene, rows, arrived);
  const summary = sumUp(rows);
  const text = `${formatTable(summary)}\n\n${about(summary, memory, { minutes, every })}`;
  console.log(`\n${text}`);
  if (values.write) await writeToPage(text);
  const lost = summary.some(({ lostItems, lostPushes, tally }) =>
    [lostItems.length, lostPushes.length, tally.mixedUp, tally.lostSessions, tally.gaps].some(
      Boolean,
    ),
  );
  process.exitCode = lost || isInterrupted || !isFlat(memory) ? 1 : 0;
}

async function setUp(stack: AsyncDisposableStack) {
  const service = await createService();
  stack.defer(() => service.close());
  let pooler = await startPgBouncer(service.authenticatorUrl, 10);
  stack.defer(() => pooler.stop());
  // What is started again listens where it did before.
  const port = String(await freePort());
  const startSecondApi = () =>
    service.startApi({
      PORT: port,
      LOG_LEVEL: "info",
      AUTHENTICATOR_DATABASE_URL: pooler.url,
      LISTEN_DATABASE_URL: service.authenticatorUrl,
    });
  const scene: Scene = {
    service,
    apis: [await service.startApi(), await startSecondApi()],
    workers: [await service.startWorker(), await service.startWorker()],
    startSecondApi,
    async restartPooler() {
      const { port: samePort } = new URL(pooler.url);
      await pooler.stop("SIGKILL");
      pooler = await startPgBouncer(service.authenticatorUrl, 10, Number(samePort));
    },
  };
  const urls = scene.apis.map(({ url }) => url);
  const clients = Array.from({ length: CLIENTS }, (_, n) =>
    fork(resolve(import.meta.dirname, "client.ts"), [`client-${n}`, ...urls]),
  );
  stack.defer(() => {
    for (const client of clients) client.kill("SIGKILL");
  });
  for (const client of clients) {
    const [{ people }] = (await once(client, "message")) as [{ people: number[] }];
    await service.owner.query(
      "insert into app_private.operators (user_id) select unnest($1::int[])",
      [people],
    );
  }
  return { scene, clients };
}

/** What the clients saw since they were last asked. */
async function collect(clients: ReturnType<typeof fork>[]): Promise<Tally> {
  const tallies = clients.map(async (client) => {
    const told = once(client, "message") as Promise<[FromClient & { tally: Tally }]>;
    client.send("tally" satisfies ToClient);
    return (await told)[0].tally;
  });
  return add(emptyTally(), ...(await Promise.all(tallies)));
}

async function allReady({ apis, workers }: Scene): Promise<boolean> {
  const states = await Promise.all(
    [...apis, ...workers].map(({ opsUrl }) =>
      fetch(`${opsUrl}/ready`).then(
        ({ ok }) => ok,
        () => false,
      ),
    ),
  );
  return states.every(Boolean);
}

async function missingItems({ service }: Scene, { items }: Tally): Promise<string[]> {
  const { rows } = await service.owner.query(
    `select title from unnest($1::text[]) as acknowledged (title)
     where not exists (select from app_public.items i where i.title = acknowledged.title)`,
    [items],
  );
  return rows.map(({ title }) => title);
}

/** Once all have come to their end: which were promised and reached no phone. */
async function findLostPushes(scene: Scene, rows: Row[], arrived: Set<string>): Promise<void> {
  const { service } = scene;
  await until(
    async () =>
      (
        await service.owner.query(
          `select from app_public.notifications where status not in ${FINAL}`,
        )
      ).rowCount as number,
    (left) => left === 0,
    RECOVERY,
  );
  noteArrivals(scene, arrived);
  for (const row of rows) row.lostPushes = row.tally.pushes.filter((text) => !arrived.has(text));
}

/** What the phones show: each remembers its last hundred, which is more than a stretch brings. */
function noteArrivals({ service }: Scene, arrived: Set<string>): void {
  const { phones } = service.emulator;
  for (const { token } of phones.list()) {
    for (const { message } of phones.messages(token)) {
      const { body } = (message.notification ?? {}) as { body?: string };
      if (body !== undefined) arrived.add(body);
    }
  }
}

/** Resident memory of the API process and the worker that are there all the time, megabytes. */
async function sample({ apis, workers }: Scene): Promise<number> {
  const sizes = [apis[0], workers[0]].map(async ({ child }) => {
    const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size);
}

async function writeToPage(text: string): Promise<void> {
  const page = await readFile(PAGE, "utf8");
  const place = /<!-- faults -->[\s\S]*?<!-- \/faults -->/;
  if (!place.test(page)) throw new Error("docs/operating.md has no place for the table.");
  const date = new Date().toLocaleDateString("en-GB", { dateStyle: "long", timeZone: "UTC" });
  const where = `${date}, ${availableParallelism()} cores, Node.js ${process.version.slice(1)}:`;
  await writeFile(
    PAGE,
    page.replace(place, () => `<!-- faults -->\n\n${where}\n\n${text}\n\n<!-- /faults -->`),
  );
}
