import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import WebSocket from "ws";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { openRawSocket } from "../support/raw-socket.ts";
import { openSocket, type Socket } from "../support/subscriptions.ts";
import { until } from "../support/until.ts";

let api: TestApi;
let ann: Account;
beforeAll(async () => {
  api = await startTestApi({ environment: { RATE_LIMIT_FACTOR: "1" } });
  ann = await api.signUp();
});
afterAll(() => api.stop());

const answers = (socket: Socket) => socket.subscribe("{ __typename }").next(20_000);

/** One by raw messages, which can stop to read. */
async function openPlain(token?: string) {
  const socket = new WebSocket(`${api.url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  const received: { type: string; id?: string; payload?: unknown }[] = [];
  socket.on("message", (data) => received.push(JSON.parse(String(data))));
  const message = (type: string) =>
    expect.poll(() => received.find((one) => one.type === type), { timeout: 20_000 });
  await new Promise((resolve) => socket.once("open", resolve));
  const send = (text: object) => socket.send(JSON.stringify(text));
  const authorization = token && `Bearer ${token}`;
  send({ type: "connection_init", payload: { ...(authorization && { authorization }) } });
  await message("connection_ack").toBeDefined();
  return { socket, received, message, send };
}
const subscribe = (id: string, query: string) => ({ type: "subscribe", id, payload: { query } });

/** A client that takes no notice of the close is cut off, and nothing that it asks for is done. */
async function refusedIsNotServed(authorization: string | undefined) {
  const { send, received, closed } = await openRawSocket(api.url);
  send({ type: "connection_init", payload: { ...(authorization && { authorization }) } });
  await expect.poll(received).toContain("connections at once are allowed");
  send(subscribe("1", "subscription { itemChanged(initialEvent: true) { operation } }"));
  send(subscribe("2", 'mutation { createItem(input: {item: {title: "no"}}) { item { id } } }'));
  await closed;
  const metrics = await (await fetch(`${api.opsUrl}/metrics`)).text();
  expect(metrics).toMatch(/^howdah_subscriptions 0$/m);
  const { rows } = await api.database.owner.query("select from app_public.items");
  expect(rows).toEqual([]);
}

describe("WebSockets", () => {
  it.each([
    ["a user", () => `Bearer ${ann.token}`],
    ["an address, where nobody is logged in", () => undefined],
  ])("at most 100 of %s: the next is closed with 1013, until one has gone", async (_whose, who) => {
    const authorization = who();
    const open = () => openSocket(api.url, { authorization });
    const sockets = Array.from({ length: 100 }, open);
    await Promise.all(sockets.map(answers));
    expect(await open().closed).toMatchObject({ code: 1013 });
    await refusedIsNotServed(authorization);
    const [first, ...others] = sockets as [Socket, ...Socket[]];
    first.close();
    await first.closed;
    const next = open();
    expect(await answers(next)).toEqual({ data: { __typename: "Query" } });
    for (const socket of [next, ...others]) socket.close();
    await Promise.all([next, ...others].map(({ closed }) => closed));
  });

  it("that do not say who they are: at most so many of an address, until one says it or has gone", async () => {
    const few = await startTestApi({
      environment: { RATE_LIMIT_FACTOR: "0.01" },
      database: api.database,
    });
    onTestFinished(() => few.stop());
    const url = `${few.url.replace("http", "ws")}/graphql`;
    const open = async () => {
      const socket = new WebSocket(url, "graphql-transport-ws");
      const answer = await new Promise<number>((resolve) => {
        socket.once("open", () => resolve(101));
        socket.once("unexpected-response", (request, { statusCode }) => {
          request.destroy();
          resolve(statusCode as number);
        });
        socket.on("error", () => {});
      });
      return { socket, answer };
    };
    const silent = await Promise.all(Array.from({ length: 10 }, open));
    expect(silent.map(({ answer }) => answer)).toEqual(Array(10).fill(101));
    expect((await open()).answer).toBe(429);
    silent[0]?.socket.send(JSON.stringify({ type: "connection_init" }));
    silent[1]?.socket.terminate();
    for (let n = 0; n < 2; n += 1) {
      silent.push(await until(open, ({ answer }) => answer === 101));
    }
    expect((await open()).answer).toBe(429);
    for (const { socket } of silent) socket.terminate();
  });

  it("at most 100 operations at once on a connection, of 1,000 that are asked for", async () => {
    const socket = openSocket(api.url, { authorization: `Bearer ${ann.token}` });
    const subscriptions = Array.from({ length: 1000 }, () =>
      socket.subscribe("subscription { itemChanged(initialEvent: true) { operation } }"),
    );
    const outcomes = await Promise.all(
      subscriptions.map(({ next, ended }) => Promise.race([next(20_000), ended])),
    );
    const refused = outcomes.filter(Array.isArray);
    expect(refused).toHaveLength(900);
    expect(refused[0]).toMatchObject([{ extensions: { code: "TOO_COMPLEX" } }]);
    subscriptions[0]?.unsubscribe();
    await expect
      .poll(() => {
        const { next, ended } = socket.subscribe("{ __typename }");
        return Promise.race([next(), ended]);
      })
      .toEqual({ data: { __typename: "Query" } });
    socket.close();
  });

  it("hundreds of operations of one address keep nobody else's waiting", async () => {
    const many = await Promise.all(Array.from({ length: 3 }, () => openPlain()));
    const mine = openSocket(api.url, { authorization: `Bearer ${ann.token}` });
    await answers(mine);
    const query = "{ __schema { types { name fields { name } } } }";
    for (const { send } of many) {
      for (let n = 0; n < 100; n += 1) send(subscribe(`${n}`, query));
    }
    const answered = () =>
      many.flatMap(({ received }) => received).filter(({ type }) => type === "next").length;
    await expect.poll(answered, { interval: 1 }).toBeGreaterThan(0);
    const before = answered();
    expect(await answers(mine)).toEqual({ data: { __typename: "Query" } });
    expect(answered() - before).toBeLessThan(100);
    for (const { socket } of many) socket.terminate();
    mine.close();
  });

  it("of a client that does not read its answers, nothing more is read", async () => {
    const { socket, received, send } = await openPlain();
    socket.pause();
    // 28 MB of ids, which the answers repeat.
    const MESSAGES = 300;
    for (let n = 0; n < MESSAGES; n += 1) send(subscribe(`${n} ${"x".repeat(95_000)}`, "{ no }"));
    let [last, unread] = [Number.NaN, socket.bufferedAmount];
    while (unread !== last && unread > 0) {
      await delay(300);
      [last, unread] = [unread, socket.bufferedAmount];
    }
    expect(unread).toBeGreaterThan(10_000_000);
    socket.resume();
    await expect.poll(() => received.length, { timeout: 20_000 }).toBe(MESSAGES + 1);
    socket.terminate();
  }, 30_000);

  it("of a reader that has stopped reading, what waits is bounded, and it is told so", async () => {
    const { socket, received, message, send } = await openPlain(ann.token);
    const query =
      "subscription { itemChanged(initialEvent: true) { operation item { description } } }";
    send(subscribe("1", query));
    await message("next").toBeDefined();
    socket.pause();
    // 30 MB, more than any socket's buffer takes.
    for (let n = 0; n < 3; n += 1) {
      await api.database.owner.query(
        `insert into app_public.items (user_id, title, description)
         select $1, 'long', repeat('x', 10000) from generate_series(1, 1000)`,
        [ann.userId],
      );
    }
    // The others go on.
    expect((await api.graphql("{ me { id } }", { token: ann.token })).status).toBe(200);
    await expect
      .poll(async () => {
        const { rows } = await api.database.owner.query(
          "select count(*)::int as waiting from pg_stat_activity where datname = current_database() and state = 'active' and query like '%judge_changes%' and pid <> pg_backend_pid()",
        );
        return rows[0].waiting;
      })
      .toBe(0);
    socket.resume();
    await message("error").toMatchObject({
      payload: [
        { message: expect.stringContaining("too slow"), extensions: { code: "UNAVAILABLE" } },
      ],
    });
    expect(received.length).toBeLessThan(3000);
    socket.close();
  }, 40_000);
});
