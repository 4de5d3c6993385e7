import { readdir } from "node:fs/promises";
import { connect, type Socket as NetSocket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { PASSWORD } from "../support/api.ts";
import { startApiProcess } from "../support/api-process.ts";
import type { Running } from "../support/processes.ts";
import { openRawSocket } from "../support/raw-socket.ts";
import { until } from "../support/until.ts";

// An API process of its own: what ends it would end this one.
let api: Running;
let url: string;
let close: () => Promise<void>;

beforeAll(async () => {
  ({ api, url, close } = await startApiProcess());
});
afterAll(() => close());

const ask = async (query: string, headers: Record<string, string> = {}) => {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ query }),
  });
  return (await response.json()) as { data: Record<string, unknown> };
};

/** Asks for a WebSocket with a hand-written request; never ends its half by itself. */
function upgrade(path: string, origin?: string): NetSocket {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  socket.on("error", () => {
    // What becomes of this side is of no interest.
  });
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n` +
      `${origin === undefined ? "" : `Origin: ${origin}\r\n`}\r\n`,
  );
  return socket;
}

const answered = (socket: NetSocket) =>
  new Promise<string>((resolve) => socket.once("data", (data) => resolve(String(data))));

describe("a refused WebSocket", () => {
  it.each([
    ["of a foreign origin", "/graphql", "https://evil.example", "403"],
    ["at another address", "/nope", undefined, "404"],
  ])(
    "%s, whose client resets the connection, ends nothing else",
    async (_what, path, origin, status) => {
      for (let n = 0; n < 50; n += 1) {
        const early = upgrade(path, origin);
        early.once("connect", () => early.resetAndDestroy());
        const late = upgrade(path, origin);
        expect(await answered(late)).toContain(` ${status} `);
        late.resetAndDestroy();
      }
      expect(await ask("{ __typename }")).toEqual({ data: { __typename: "Query" } });
      expect(api.child.exitCode).toBe(null);
    },
  );

  it("is let go of, whatever its client keeps open", async () => {
    const descriptors = async () => (await readdir(`/proc/${api.child.pid}/fd`)).length;
    const before = await descriptors();
    const sockets = Array.from({ length: 100 }, () => upgrade("/nope"));
    await Promise.all(sockets.map(answered));
    await until(descriptors, (now) => now < before + 20, 5000);
    for (const socket of sockets) socket.destroy();
  });
});

async function signUp(): Promise<string> {
  const email = `socket-${Math.random().toString(36).slice(2)}@example.com`;
  const { data } = await ask(
    `mutation { signUp(input: {email: "${email}", password: "${PASSWORD}", firstName: "S"}) { tokens { accessToken } } }`,
  );
  return (data.signUp as { tokens: { accessToken: string } }).tokens.accessToken;
}

const subscribe = (id: string, query: string) => ({ type: "subscribe", id, payload: { query } });

describe("connectionParams", () => {
  async function closed(params: (token: string) => unknown) {
    const accessToken = await signUp();
    const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
    socket.once("open", () =>
      socket.send(JSON.stringify({ type: "connection_init", payload: params(accessToken) })),
    );
    return new Promise((resolve) => {
      socket.once("close", (code, reason) => resolve({ code, reason: String(reason) }));
    });
  }

  it.each<[string, (token: string) => unknown, string]>([
    [
      "two spellings of one key",
      (token) => ({ Authorization: null, authorization: `Bearer ${token}` }),
      "connectionParams must be",
    ],
    ["a list", (token) => ({ authorization: [`Bearer ${token}`] }), "connectionParams must be"],
    [
      "a token where nobody looks",
      (token) => ({ headers: { authorization: `Bearer ${token}` } }),
      "connectionParams must be",
    ],
    ["a token without its scheme", (token) => ({ authorization: token }), "Bearer, a blank"],
  ])("with %s close with 4403 and say why", async (_what, params, reason) => {
    expect(await closed(params)).toEqual({ code: 4403, reason: expect.stringContaining(reason) });
  });
});

it("of an ended session, an open connection gets nothing, and no line in the log", async () => {
  const authorization = `Bearer ${await signUp()}`;
  await ask("mutation { logOut(input: {}) { clientMutationId } }", { authorization });
  const { send, received, closed } = await openRawSocket(url);
  send({ type: "connection_init", payload: { authorization } });
  await expect.poll(received).toContain("This session has ended.");
  send(subscribe("1", "subscription Zombie { itemChanged(initialEvent: true) { operation } }"));
  send(subscribe("2", "query Zombie { __typename }"));
  await closed;
  await ask("query Last { __typename }");
  await api.prints(/"operation":"Last"/);
  expect(api.output()).not.toContain("Zombie");
});

it("connections that break in the middle of their answers print nothing but lines of the log", async () => {
  const before = api.output().length;
  const query = "{ __schema { types { name description fields { name description } } } }";
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      const { socket, send, received, closed } = await openRawSocket(url);
      send({ type: "connection_init" });
      await expect.poll(received).toContain("connection_ack");
      for (let n = 0; n < 20; n += 1) send(subscribe(`${n}`, query));
      socket.once("data", () => socket.resetAndDestroy());
      await closed;
    }),
  );
  await ask("query AfterBreaks { __typename }");
  await api.prints(/"operation":"AfterBreaks"/);
  const lines = api.output().slice(before).split("\n");
  expect(lines.filter((line) => line !== "" && !line.startsWith("{"))).toEqual([]);
});

it("a message over 100 kB closes with 1009, and nothing is printed", async () => {
  const before = api.output().length;
  const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  socket.once("open", () => socket.send("x".repeat(200_000)));
  expect(await new Promise((resolve) => socket.once("close", resolve))).toBe(1009);
  expect(api.output().slice(before)).not.toContain("Error");
});
