import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { times } from "../support/bombs.ts";
import { openSocket } from "../support/subscriptions.ts";

let api: TestApi;
let ann: Account;
beforeAll(async () => {
  api = await startTestApi({ timeouts: { idle: 12_000 } });
  ann = await api.signUp();
  // 6.5 MB on one page.
  await api.database.owner.query(
    `insert into app_public.items (user_id, title, data)
     select $1, 'large', jsonb_build_object('text', repeat('x', 65000)) from generate_series(1, 100)`,
    [ann.userId],
  );
});
afterAll(() => api.stop());

const PAGE = "{ items(first: 100) { nodes { data } } }";
const BOMB = `{ items(first: 100) { nodes { ${times(20, (n) => `d${n}: data`)} } } }`;
const TREE =
  "{ items(first: 20) { nodes { user { items(first: 100) { nodes { data user { id } } } } } } }";

describe("an answer", () => {
  it("of a large page is sent whole", async () => {
    const { data, errors } = await api.graphql(PAGE, { token: ann.token });
    expect(errors).toEqual([]);
    expect(JSON.stringify(data).length).toBeGreaterThan(6_500_000);
  });

  it.each([
    ["that repeats what was read", BOMB],
    ["that reads too much", TREE],
  ])(
    "%s beyond 10 MB is TOO_COMPLEX over HTTP and WebSockets, and the API goes on",
    async (_what, query) => {
      const { status, errors } = await api.graphql(query, { token: ann.token });
      expect({ status, code: errors[0]?.extensions.code }).toEqual({
        status: expect.any(Number),
        code: "TOO_COMPLEX",
      });
      expect(status).toBeLessThan(500);
      const socket = openSocket(api.url, { authorization: `Bearer ${ann.token}` });
      expect(await socket.subscribe(query).next(10_000)).toMatchObject({
        errors: [{ extensions: { code: "TOO_COMPLEX" } }],
      });
      expect(await socket.subscribe("{ __typename }").next()).toMatchObject({
        data: { __typename: "Query" },
      });
      socket.close();
      expect((await api.graphql("{ me { id } }", { token: ann.token })).errors).toEqual([]);
    },
  );
});

describe("a reader that does not read", () => {
  it("of a WebSocket is closed before its answers fill the memory", async () => {
    const socket = new WebSocket(
      `${api.url.replace("http", "ws")}/graphql`,
      "graphql-transport-ws",
    );
    await new Promise((resolve) => socket.once("open", resolve));
    const send = (message: object) => socket.send(JSON.stringify(message));
    const acknowledged = new Promise((resolve) => socket.once("message", resolve));
    send({ type: "connection_init", payload: { authorization: `Bearer ${ann.token}` } });
    await acknowledged;
    socket.pause();
    const closed = new Promise((resolve) => socket.once("close", resolve));
    for (let n = 0; n < 50; n += 1) {
      send({ id: `${n}`, type: "subscribe", payload: { query: PAGE } });
    }
    let received = 0;
    socket.on("message", () => {
      received += 1;
    });
    // The server's own buffer tells: it stops to grow.
    await expect
      .poll(async () => (await api.graphql("{ me { id } }", { token: ann.token })).status, {
        timeout: 20_000,
      })
      .toBe(200);
    socket.resume();
    expect(await closed).toBe(1013);
    expect(received).toBeLessThan(10);
  }, 60_000);

  it("of HTTP answers is cut off", async () => {
    const { hostname, port } = new URL(api.url);
    const accepted = new Promise<Socket>((resolve) => {
      const take = (message: unknown) => {
        unsubscribe("http.server.request.start", take);
        resolve((message as { socket: Socket }).socket);
      };
      subscribe("http.server.request.start", take);
    });
    const reader = connect({ host: hostname, port: Number(port) }).pause();
    reader.on("error", () => {
      // A reset is an end, too.
    });
    const body = JSON.stringify({ query: PAGE });
    // 65 MB, which is more than the buffers of two kernels take.
    const ANSWERS = 10;
    reader.write(
      `POST /graphql HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\nAuthorization: Bearer ${ann.token}\r\nContent-Length: ${body.length}\r\n\r\n${body}`.repeat(
        ANSWERS,
      ),
    );
    const server = await accepted;
    await new Promise((resolve) => server.once("close", resolve));
    expect(server.bytesWritten).toBeGreaterThan(0);
    expect(server.bytesWritten).toBeLessThan(ANSWERS * 6_500_000);
    reader.destroy();
  }, 60_000);
});
