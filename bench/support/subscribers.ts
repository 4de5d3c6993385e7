import { setTimeout as delay } from "node:timers/promises";
import WebSocket from "ws";
import { quantile } from "./statistics.ts";

// Many sockets that follow their user's items, in a process of their own. Arguments: the API's URL,
// sockets for each token, events to wait for, how many of them come while everything warms up, tokens
// separated by commas. Prints when all of them are
// in force, and in the end how long the events took: a title is the time at which it was written.

const [url, perToken, expected, warmUp, list] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const QUERY = "subscription { itemChanged(initialEvent: true) { operation id item { id title } } }";
/** Sockets that open at once. */
const AT_ONCE = 50;
/** For the events to come in, milliseconds. */
const PATIENCE = 60_000;

const took: number[] = [];

function open(token: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws");
  const send = (message: object) => socket.send(JSON.stringify(message));
  socket.on("error", reject);
  socket.on("open", () =>
    send({ type: "connection_init", payload: { authorization: `Bearer ${token}` } }),
  );
  socket.on("close", (code) => {
    console.error(`A socket was closed with ${code}.`);
    process.exit(1);
  });
  socket.on("message", (data) => {
    const { type, payload } = JSON.parse(String(data));
    if (type === "connection_ack") send({ id: "1", type: "subscribe", payload: { query: QUERY } });
    if (type === "error" || payload?.errors) {
      console.error(JSON.stringify(payload));
      process.exit(1);
    }
    if (type !== "next") return;
    const { operation, item } = payload.data.itemChanged;
    if (operation === null) resolve();
    else took.push(Date.now() - Number(item.title));
  });
  return promise;
}

const waiting = list.split(",").flatMap((token) => Array<string>(Number(perToken)).fill(token));
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let token = waiting.pop(); token !== undefined; token = waiting.pop()) await open(token);
  }),
);
console.log("all subscribed");
const deadline = Date.now() + PATIENCE;
while (took.length < Number(expected) && Date.now() < deadline) await delay(50);
const warm = took.slice(Number(warmUp));
console.log(
  JSON.stringify({ events: took.length, p50: quantile(warm, 0.5), p95: quantile(warm, 0.95) }),
);
process.exit(0);
