import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { quantile } from "../../bench/support/statistics.ts";
import { ask, SIGN_UP, startLoad } from "../support/load.ts";
import {
  type ApiProcess,
  createService,
  type Service,
  type WorkerProcess,
} from "../support/service.ts";
import { until } from "../support/until.ts";

/** Each gets one push after the other. */
const PHONES = 50;

let service: Service;
let apis: ApiProcess[];
let workers: WorkerProcess[];
let recipients: number[];

beforeAll(async () => {
  service = await createService();
  apis = await Promise.all([service.startApi(), service.startApi()]);
  workers = await Promise.all([service.startWorker(), service.startWorker()]);
  const { rows } = await service.owner.query(
    `with person as (
       insert into app_public.users (first_name) select 'P' from generate_series(1, $1) returning id
     ), device as (
       insert into app_public.device_tokens (user_id, token, device_type) select id, 'phone-' || id, 'web' from person
     )
     select array_agg(id) as ids from person`,
    [PHONES],
  );
  recipients = rows[0].ids;
}, 120_000);
afterAll(() => service.close());

/** Of all four, one after the other. */
async function statuses(path: string): Promise<number[]> {
  const found = [];
  for (const { opsUrl } of [...apis, ...workers]) {
    found.push((await fetch(`${opsUrl}${path}`)).status);
  }
  return found;
}

/** Pushes as fast as they are promised, each to one phone, until told to stop. */
function startPushes() {
  const promised: { id: number; phone: string; text: string }[] = [];
  let isOver = false;
  const all = (async () => {
    for (let n = 0; !isOver; n += 1) {
      const user = recipients[n % PHONES] as number;
      const text = `message ${n}`;
      try {
        const { rows } = await service.owner.query(
          "select id from app_private.notify(array[$1::int], 'e', $2)",
          [user, text],
        );
        promised.push({ id: rows[0].id, phone: `phone-${user}`, text });
      } catch {
        // Nothing was promised.
      }
      await delay(20);
    }
  })();
  return {
    promised,
    async stop() {
      isOver = true;
      await all;
    },
  };
}

describe.each(["fast", "immediate"] as const)(
  "PostgreSQL stopped (%s) under load, and started again",
  (mode) => {
    it("UNAVAILABLE within 1 s, /ready 503 within 2 s, /live 200, and then all goes on with nothing lost", {
      timeout: 180_000,
    }, async () => {
      const [first, second] = apis as [ApiProcess, ApiProcess];
      let turn = 0;
      const load = await startLoad(() => {
        turn += 1;
        return (turn % 2 === 0 ? first : second).url;
      }, 4);
      const pushes = startPushes();
      const { data } = await ask(first.url, SIGN_UP, {
        variables: { email: `${mode}@example.com` },
      });
      const { userId, accessToken: token } = data.signUp.tokens;
      const isMoving = async () => [load.acknowledged.length, pushes.promised.length];
      const [, promised = 0] = await until(isMoving, (counts) => counts.every((n) => n > 20));

      await service.stopPostgres(mode);
      await until(
        () => statuses("/ready"),
        (found) => found.every((status) => status === 503),
        2000,
      );
      const waits = [];
      for (let n = 0; n < 11; n += 1) {
        const began = performance.now();
        const { codes } = await ask(second.url, `{ me { id } t${n}: __typename }`, { token });
        waits.push(performance.now() - began);
        expect(codes).toEqual(["UNAVAILABLE"]);
      }
      expect(quantile(waits, 0.5)).toBeLessThan(1000);
      expect(await statuses("/live")).toEqual([200, 200, 200, 200]);
      const [whileAway = 0] = await isMoving();

      await service.startPostgres();
      await until(
        () => statuses("/ready"),
        (found) => found.every((status) => status === 200),
      );
      for (const { url } of apis) {
        expect((await ask(url, "{ me { id } }", { token })).data).toEqual({ me: { id: userId } });
      }
      await until(
        isMoving,
        ([more = 0, pushed = 0]) => more > whileAway + 20 && pushed > promised + 20,
      );
      await Promise.all([load.stop(), pushes.stop()]);
      expect(new Set(load.failed.filter((failure) => !/UNAVAILABLE/.test(failure)))).toEqual(
        new Set(),
      );

      const lost = await service.owner.query(
        `select title from unnest($1::text[]) acknowledged (title)
       except select title from app_public.items`,
        [load.acknowledged],
      );
      await until(
        async () =>
          (
            await service.owner.query(
              "select from app_public.notifications where id = any ($1) and status <> 'sent'",
              [pushes.promised.map(({ id }) => id)],
            )
          ).rowCount,
        (unsent) => unsent === 0,
        120_000,
      );
      const arrivals = pushes.promised.map(
        ({ phone, text }) =>
          service.emulator.phones
            .messages(phone)
            .filter(({ message }) => (message.notification as { body?: string }).body === text)
            .length,
      );
      const missing = arrivals.filter((times) => times === 0).length;
      const repeated = arrivals.filter((times) => times > 1).length;
      service.emulator.phones.clear();
      console.info(
        `${mode}: of ${load.acknowledged.length} items lost ${lost.rowCount}; of ${pushes.promised.length} pushes lost ${missing}, repeated ${repeated}; ${load.failed.length} requests UNAVAILABLE`,
      );
      expect(lost.rows).toEqual([]);
      expect(missing).toBe(0);
    });
  },
);
