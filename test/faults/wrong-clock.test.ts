import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FcmEmulator, startFcmEmulator } from "../../src/push/emulator/emulator.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { ask, SIGN_UP } from "../support/load.ts";
import { type Running, runEntry } from "../support/processes.ts";
import { createPushes } from "../support/pushes.ts";
import { queryOnce } from "../support/query-once.ts";
import { openSocket } from "../support/subscriptions.ts";
import { until } from "../support/until.ts";

const HOUR = 3_600_000;
/** How long before its time; milliseconds. */
const START = 20_000;
const PRELOADED = pathToFileURL(resolve("test/support/shifted-clock.mjs")).href;

let folder: string;
let database: TestDatabase;
let emulator: FcmEmulator;
const running: Running[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "howdah-clock-"));
  database = await createTestDatabase();
  emulator = await startFcmEmulator({ host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await Promise.all(running.map((one) => one.ends("SIGKILL")));
  await emulator.close();
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

/** A process and its clock, which is wrong by so many milliseconds. */
async function start(entry: "api" | "worker", name: string, shift: number) {
  const file = join(folder, name);
  const set = (milliseconds: number) => writeFile(file, String(milliseconds));
  await set(shift);
  const process = runEntry(`src/${entry}.ts`, {
    NODE_OPTIONS: `--import=${PRELOADED}`,
    SHIFTED_CLOCK: file,
    DATABASE_URL: database.ownerUrl,
    AUTHENTICATOR_DATABASE_URL: database.authenticatorUrl,
    DATA_DIR: folder,
    FCM_EMULATOR_HOST: emulator.host,
    // One for all of them: it is who issues their tokens.
    PUBLIC_URL: "http://localhost:5678",
    PORT: "0",
    OPS_PORT: "0",
    WORKER_OPS_PORT: "0",
  });
  running.push(process);
  const [, ready = ""] = await process.prints(/^(\{.*"ops":.*\})\n/m);
  const { url, ops } = JSON.parse(ready) as { url: string; ops: string };
  return { url, ops, set, process };
}

describe("a system clock that is wrong by an hour", () => {
  it("of API processes: tokens of each are good with all of them, also when it is put right; nobody is logged out", {
    timeout: 120_000,
  }, async () => {
    const apis = [
      await start("api", "ahead", HOUR),
      await start("api", "behind", -HOUR),
      await start("api", "right", 0),
    ];
    const [ahead, , right] = apis as [(typeof apis)[0], (typeof apis)[0], (typeof apis)[0]];
    const people: { userId: number; accessToken: string; refreshToken: string }[] = [];
    for (const [n, { url }] of apis.entries()) {
      const { data } = await ask(url, SIGN_UP, { variables: { email: `clock-${n}@example.com` } });
      people.push(data.signUp.tokens);
    }
    const everywhere = async () => {
      for (const { userId, accessToken: token } of people) {
        for (const { url } of apis) {
          const { data } = await ask(url, "{ me { id } }", { token });
          expect(data).toEqual({ me: { id: userId } });
        }
      }
    };
    await everywhere();

    const token = people[0]?.accessToken;
    const sockets = apis.map(({ url }) => openSocket(url, { authorization: `Bearer ${token}` }));
    const subscriptions = sockets.map((socket) =>
      socket.subscribe("subscription { itemChanged(initialEvent: true) { operation } }"),
    );
    for (const subscription of subscriptions) await subscription.next();
    // It is put right, and the one that was right goes wrong.
    await ahead.set(0);
    await right.set(HOUR);
    await until(
      async () => (await fetch(`${right.ops}/metrics`)).text(),
      (text) => Number(/^howdah_clock_skew_seconds (\S+)$/m.exec(text)?.[1]) > 3500,
    );
    await everywhere();
    await ask(ahead.url, 'mutation { createItem(input: {item: {title: "t"}}) { item { id } } }', {
      token,
    });
    for (const subscription of subscriptions) {
      expect(await subscription.next()).toMatchObject({
        data: { itemChanged: { operation: "INSERT" } },
      });
    }
    for (const [n, { refreshToken }] of people.entries()) {
      const { data } = await ask(
        apis[(n + 1) % apis.length]?.url as string,
        "mutation ($t: String!) { refreshTokens(input: {refreshToken: $t}) { tokens { userId } } }",
        { variables: { t: refreshToken } },
      );
      expect(data.refreshTokens.tokens.userId).toBe(people[n]?.userId);
    }
    for (const socket of sockets) socket.close();
    await Promise.all(apis.map(({ process }) => process.ends("SIGKILL")));
  });

  it("of workers: no cron runs twice, nothing is sent before its time, nothing expires at once", {
    timeout: 120_000,
  }, async () => {
    await queryOnce(
      database.superuserUrl,
      `
      create table test_runs (due text);
      create function note_run() returns trigger language plpgsql
      security definer set search_path = public, pg_temp
      as $$ begin insert into test_runs values (new.payload -> '_cron' ->> 'ts'); return null; end $$;
      create trigger _900_note_run after insert or update of payload on graphile_worker._private_jobs
      for each row when (new.key = 'delete_expired') execute function note_run()`,
    );
    const runs = async () =>
      (await queryOnce(database.superuserUrl, "select due from test_runs")).rows;
    const pushes = createPushes(database);
    const { id } = await pushes.userWithDevices("phone");
    const inHalfAnHour = "=> now() + interval '30 minutes'";
    const later = await pushes.notify([id], `, send_at ${inHalfAnHour}`);

    const ahead = await start("worker", "worker ahead", beforeCron(1));
    const [{ due }] = (await until(runs, (found) => found.length > 0)) as [{ due: string }];
    expect(Date.parse(due) - Date.now()).toBeGreaterThan(HOUR / 60);
    // The same minute, by a clock that is right; and by the first one, put right.
    const shift = beforeCron(0);
    await start("worker", "worker", shift);
    await ahead.set(shift);
    const expiring = await pushes.notify([id], `, expires_at ${inHalfAnHour}`);
    expect((await pushes.settled(expiring)).status).toBe("sent");
    await until(
      async () => new Date(Date.now() + shift),
      (time) => time.getUTCMinutes() >= 17 && time.getUTCSeconds() >= 3,
    );
    expect(await runs()).toEqual([{ due }]);
    expect((await pushes.ledger(later)).status).toBe("scheduled");
  });
});

/**
 * What makes a clock say that it is so long before minute 17, when delete_expired is due, of this hour or of one that
 * many later. A process has to be up by then.
 */
function beforeCron(hours: number): number {
  const now = new Date();
  const due = new Date(now);
  due.setUTCMinutes(17, 0, 0);
  return due.getTime() - START - now.getTime() + hours * HOUR;
}
