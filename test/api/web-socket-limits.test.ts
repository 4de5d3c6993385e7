import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { openSocket, type Socket } from "../support/subscriptions.ts";

let api: TestApi;
let ann: Account;
beforeAll(async () => {
  api = await startTestApi({ environment: { RATE_LIMIT_FACTOR: "1" } });
  ann = await api.signUp();
});
afterAll(() => api.stop());

const answers = (socket: Socket) => socket.subscribe("{ __typename }").next();

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
    const [first, ...others] = sockets as [Socket, ...Socket[]];
    first.close();
    await first.closed;
    const next = open();
    expect(await answers(next)).toEqual({ data: { __typename: "Query" } });
    for (const socket of [next, ...others]) socket.close();
    await Promise.all([next, ...others].map(({ closed }) => closed));
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

  it("of a reader that has stopped reading, what waits is bounded, and it is told so", async () => {
    const socket = new WebSocket(
      `${api.url.replace("http", "ws")}/graphql`,
      "graphql-transport-ws",
    );
    const received: { type: string; payload: unknown }[] = [];
    socket.on("message", (data) => received.push(JSON.parse(String(data))));
    const message = (type: string) =>
      expect.poll(() => received.find((one) => one.type === type), { timeout: 20_000 });
    await new Promise((resolve) => socket.once("open", resolve));
    const send = (text: object) => socket.send(JSON.stringify(text));
    send({ type: "connection_init", payload: { authorization: `Bearer ${ann.token}` } });
    await message("connection_ack").toBeDefined();
    const query =
      "subscription { itemChanged(initialEvent: true) { operation item { description } } }";
    send({ id: "1", type: "subscribe", payload: { query } });
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
