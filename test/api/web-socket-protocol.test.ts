import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { startTestApi, type TestApi } from "../support/api.ts";

// The close codes and messages of graphql-transport-ws, by raw messages: no client hides anything.
let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

const INIT = { type: "connection_init" };

/** Sends these messages one after the other; what came, and how it was closed. */
async function talk(...messages: (object | string)[]) {
  const socket = new WebSocket(`${api.url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  const received: { type: string; id?: string; payload?: unknown }[] = [];
  socket.on("message", (data) => received.push(JSON.parse(String(data))));
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  await new Promise((resolve) => socket.once("open", resolve));
  for (const message of messages) {
    // Only then may a client subscribe.
    const isAnswered =
      message !== messages[0] && (messages[0] as { type?: string }).type === INIT.type;
    if (isAnswered && (message as { type: string }).type === "subscribe") {
      await expect.poll(() => received.map(({ type }) => type)).toContain("connection_ack");
    }
    socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }
  return { received, closed, socket };
}
const subscribe = (id: string, query: string) => ({ type: "subscribe", id, payload: { query } });
const LIVE = "subscription { notificationReceived { notification { id } } }";

describe("graphql-transport-ws", () => {
  it.each<[string, (object | string)[], number]>([
    ["what is no JSON: 4400", ["nonsense"], 4400],
    ["a message of no known type: 4400", [INIT, { type: "nonsense" }], 4400],
    ["a subscription before connection_init: 4401", [subscribe("1", "{ __typename }")], 4401],
    ["a bad token: 4403", [{ ...INIT, payload: { authorization: "Bearer x" } }], 4403],
    ["two connection_init: 4429", [INIT, INIT], 4429],
  ])("%s", async (_name, messages, code) => {
    expect(await (await talk(...messages)).closed).toBe(code);
  });

  it("an id that is in use: 4409", async () => {
    const { token } = await api.signUp();
    const init = { ...INIT, payload: { authorization: `Bearer ${token}` } };
    expect(await (await talk(init, subscribe("1", LIVE), subscribe("1", LIVE))).closed).toBe(4409);
  });

  it("no connection_init within 10 s: 4408", { timeout: 20_000 }, async () => {
    expect(await (await talk()).closed).toBe(4408);
  });

  it("acknowledges, answers a query with next and complete, a ping with pong and no echo", async () => {
    const { received, socket } = await talk(
      INIT,
      { type: "ping", payload: { text: "x".repeat(50_000) } },
      subscribe("7", "{ __typename }"),
    );
    await expect
      .poll(() => received.map(({ type }) => type).sort())
      .toEqual(["complete", "connection_ack", "next", "pong"]);
    expect(received.find(({ type }) => type === "pong")).toEqual({ type: "pong" });
    expect(received.find(({ type }) => type === "next")).toEqual({
      type: "next",
      id: "7",
      payload: { data: { __typename: "Query" } },
    });
    socket.close();
  });

  it("answers what is not valid with error alone", async () => {
    const { received, socket } = await talk(INIT, subscribe("8", "{ nonsense }"));
    await expect
      .poll(() => received.find(({ id }) => id === "8"))
      .toMatchObject({
        type: "error",
        payload: [{ extensions: { code: "BAD_USER_INPUT" } }],
      });
    expect(received.filter(({ id }) => id === "8")).toHaveLength(1);
    socket.close();
  });

  it("complete ends a subscription, and its id is free again", async () => {
    const { token } = await api.signUp();
    const { received, socket } = await talk(
      { ...INIT, payload: { authorization: `Bearer ${token}` } },
      subscribe("9", LIVE),
      { type: "complete", id: "9" },
    );
    await expect.poll(() => received.map(({ type }) => type)).toEqual(["connection_ack"]);
    socket.send(JSON.stringify(subscribe("9", "{ __typename }")));
    await expect.poll(() => received.at(-1)).toEqual({ type: "complete", id: "9" });
    socket.close();
  });
});

describe("while nobody can tell whether a session lives", () => {
  const init = ({ token }: { token: string }) => ({
    ...INIT,
    payload: { authorization: `Bearer ${token}` },
  });

  it("a socket is closed with 1013, which is no log-out: the session could not be asked about", async () => {
    const ann = await api.signUp();
    const verify = "execute on function app_private.verify_session(int, int, text)";
    await api.database.owner.query(`revoke ${verify} from howdah_authenticator`);
    expect(await (await talk(init(ann))).closed).toBe(1013);
    await api.database.owner.query(`grant ${verify} to howdah_authenticator`);
    const { received, socket } = await talk(init(ann));
    await expect.poll(() => received).toEqual([{ type: "connection_ack" }]);
    socket.close();
  });

  it("a socket is closed with 1013: its end could not be heard of, because LISTEN does not stand", async () => {
    const ann = await api.signUp();
    const { database } = api;
    const ready = async () => (await fetch(`${api.opsUrl}/ready`)).status;
    // Whoever is connected goes on; nobody else gets in.
    const client = new pg.Client({
      connectionString: Object.assign(new URL(database.superuserUrl), { pathname: "/postgres" })
        .href,
    });
    await client.connect();
    await client.query(`alter database ${database.name} allow_connections false`);
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'howdah live events' and datname = $1`,
      [database.name],
    );
    await expect.poll(ready).toBe(503);
    expect(await (await talk(init(ann))).closed).toBe(1013);
    await client.query(`alter database ${database.name} allow_connections true`);
    await client.end();
    await expect.poll(ready, { timeout: 15_000 }).toBe(200);
  });
});
