import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startLoad } from "../support/load.ts";
import { type ApiProcess, createService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

let service: Service;
beforeAll(async () => {
  service = await createService();
}, 120_000);
afterAll(() => service.close());

async function expectNothingLost(load: Awaited<ReturnType<typeof startLoad>>): Promise<void> {
  const { rows } = await service.owner.query("select title from app_public.items");
  const titles = new Set(rows.map(({ title }) => title));
  expect(load.acknowledged.filter((title) => !titles.has(title))).toEqual([]);
  expect(load.acknowledged.length).toBeGreaterThan(50);
  expect(load.failed).toEqual([]);
}

describe("a rolling restart under load loses no request", () => {
  it("of API_PROCESSES=2 by SIGUSR2: one after the other is replaced, and /ready stays 200", {
    timeout: 240_000,
  }, async () => {
    const api = await service.startApi({ API_PROCESSES: "2" });
    const load = await startLoad(api.url, 4);
    const unready: string[] = [];
    let isOver = false;
    const watching = (async () => {
      while (!isOver) {
        const text = await fetch(`${api.opsUrl}/ready`).then((it) => it.text(), String);
        // On a busy machine the database may be slow to answer, which is another matter.
        if (/process|starting|shutting/.test(text)) unready.push(text);
        await delay(20);
      }
    })();
    api.child.kill("SIGUSR2");
    await api.prints(/rolling restart done/, 180_000);
    isOver = true;
    await watching;
    await load.stop();
    await expectNothingLost(load);
    expect(unready).toEqual([]);
    expect(await api.ends("SIGTERM")).toBe(0);
  });

  it("of two processes behind a proxy that asks /ready, one stopped at a time, with DRAIN_SECONDS", {
    timeout: 240_000,
  }, async () => {
    const start = () => service.startApi({ DRAIN_SECONDS: "1" });
    const apis = await Promise.all([start(), start()]);
    const proxy = await startProxy(apis);
    const load = await startLoad(proxy.url, 4);
    for (const old of [...apis]) {
      const next = await start();
      apis.push(next);
      expect(await old.ends("SIGTERM")).toBe(0);
      apis.splice(apis.indexOf(old), 1);
    }
    await load.stop();
    await proxy.close();
    await expectNothingLost(load);
    expect(await Promise.all(apis.map((api) => api.ends("SIGTERM")))).toEqual([0, 0]);
  });
});

/** Hands out connections in turn to those that were ready when it last asked, as a load balancer does. */
async function startProxy(apis: ApiProcess[]) {
  let ready: ApiProcess[] = [];
  let turn = 0;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const states = await Promise.all(
        apis.map((api) =>
          fetch(`${api.opsUrl}/ready`).then(
            ({ ok }) => ok,
            () => false,
          ),
        ),
      );
      const found = apis.filter((_, n) => states[n]);
      // Where none is, the last ones are better than nothing.
      if (found.length > 0) ready = found;
      await delay(200);
    }
  })();
  await until(
    async () => ready.length,
    (length) => length > 0,
  );
  const server = createServer((client) => {
    turn += 1;
    const { port } = new URL((ready[turn % ready.length] as ApiProcess).url);
    const upstream = connect(Number(port), "127.0.0.1");
    client.pipe(upstream).pipe(client);
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.resetAndDestroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      isOver = true;
      await watching;
      server.close();
    },
  };
}
