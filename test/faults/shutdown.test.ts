import { Agent } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask, CREATE, SIGN_UP, startLoad } from "../support/load.ts";
import { createService, type Service } from "../support/service.ts";
import { openSocket } from "../support/subscriptions.ts";
import { until } from "../support/until.ts";

let service: Service;
let token: string;

beforeAll(async () => {
  service = await createService();
  // An item of this name takes its time.
  await service.asSuperuser(`
    create function public.take_time() returns trigger language plpgsql as $$
      begin perform pg_sleep(1.5); return new; end $$`);
  await service.asSuperuser(`
    create trigger take_time before insert on app_public.items for each row
    when (new.title like 'slow%') execute function public.take_time()`);
}, 120_000);
afterAll(() => service.close());

const created = async (title: string) =>
  (await service.owner.query("select from app_public.items where title = $1", [title])).rowCount;
const sleeping = () =>
  until(
    async () =>
      (await service.asSuperuser("select from pg_stat_activity where wait_event = 'PgSleep'"))
        .rowCount as number,
    (count) => count > 0,
    20_000,
  );

describe("SIGTERM under load", () => {
  it("readiness first, what is in flight is answered by HTTP and WebSocket, sockets end with 1001, no connection is reset, exit 0", {
    timeout: 120_000,
  }, async () => {
    const api = await service.startApi({ DRAIN_SECONDS: "3", SHUTDOWN_SECONDS: "20" });
    const { data } = await ask(api.url, SIGN_UP, { variables: { email: "slow@example.com" } });
    token = data.signUp.tokens.accessToken;
    const load = await startLoad(api.url, 4);
    const socket = openSocket(api.url, { authorization: `Bearer ${token}` });
    const changes = socket.subscribe(
      "subscription { itemChanged(initialEvent: true) { operation } }",
    );
    await changes.next(20_000);
    // A client that never says what it wants is not waited for.
    const silent = connect(Number(new URL(api.url).port), "127.0.0.1");
    silent.on("error", () => {
      // Nor has it any right to an answer.
    });
    const overHttp = ask(api.url, CREATE, { token, variables: { title: "slow by HTTP" } });
    const overSocket = socket.subscribe(
      'mutation { createItem(input: {item: {title: "slow by WebSocket"}}) { item { id } } }',
    );
    await sleeping();

    const began = performance.now();
    api.child.kill("SIGTERM");
    await until(
      async () => (await fetch(`${api.opsUrl}/ready`)).status,
      (status) => status === 503,
      5000,
    );
    // As a proxy does that sees it: who comes when it listens no more would be refused.
    const taken = load.stop();
    // It still lets clients in, and sends each of them elsewhere afterwards.
    const agent = new Agent({ keepAlive: true });
    const late = await ask(api.url, "{ __typename }", { agent });
    expect(late.data).toEqual({ __typename: "Query" });
    expect((await overHttp).data.createItem.item.id).toBeGreaterThan(0);
    expect(await overSocket.next(10_000)).toMatchObject({ data: { createItem: {} } });
    expect((await socket.closed).code).toBe(1001);
    expect(await api.ends()).toBe(0);
    expect(performance.now() - began).toBeLessThan(20_000);
    await taken;
    expect(load.failed).toEqual([]);
    expect(load.acknowledged.length).toBeGreaterThan(0);
    for (const title of ["slow by HTTP", "slow by WebSocket"]) expect(await created(title)).toBe(1);
  });

  it("what takes longer than SHUTDOWN_SECONDS is cut off, counted and rolled back, and the exit is still 0", {
    timeout: 120_000,
  }, async () => {
    const api = await service.startApi({ SHUTDOWN_SECONDS: "2" });
    await service.asSuperuser(`create or replace function public.take_time() returns trigger
      language plpgsql as $$ begin perform pg_sleep(8); return new; end $$`);
    const cutOff = ask(api.url, CREATE, { token, variables: { title: "slow for ever" } });
    cutOff.catch(() => undefined);
    await sleeping();
    expect(await api.ends("SIGTERM")).toBe(0);
    await expect(cutOff).rejects.toThrow();
    expect(api.output()).toMatch(/"requests":1,.*cut off/);
    expect(await created("slow for ever")).toBe(0);
  });
});

describe("a second SIGTERM", () => {
  it("ends a worker at once, and its jobs and its batch are free for others in the same moment", {
    timeout: 120_000,
  }, async () => {
    service.emulator.faults.add({ match: "hang", respond: "HANG" });
    const worker = await service.startWorker({ SHUTDOWN_SECONDS: "60" });
    await service.owner.query(
      `with person as (insert into app_public.users (first_name) values ('P') returning id)
       insert into app_public.device_tokens (user_id, token, device_type)
       select id, 'hang-' || n, 'web' from person, generate_series(1, 3) n`,
    );
    await service.owner.query(
      `select app_private.notify(array_agg(distinct user_id), 'e', 'm') from app_public.device_tokens
       where token like 'hang-%'`,
    );
    const locked = async () =>
      (await service.owner.query("select from graphile_worker.jobs where locked_at is not null"))
        .rowCount as number;
    await until(
      async () =>
        (
          await service.owner.query(
            "select from app_public.notification_deliveries where status = 'sending'",
          )
        ).rowCount as number,
      (sending) => sending === 3,
      30_000,
    );
    worker.child.kill("SIGTERM");
    await until(
      async () => (await fetch(`${worker.opsUrl}/ready`)).status,
      (status) => status === 503,
    );
    const began = performance.now();
    expect(await worker.ends("SIGTERM")).toBe(1);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(await locked()).toBe(0);
    const { rowCount } = await service.owner.query("select from app_private.workers");
    expect(rowCount).toBe(0);
  });
});
