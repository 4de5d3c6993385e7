import { Agent } from "node:https";
import { connect } from "node:tls";
import { initializeApp } from "firebase-admin/app";
import { getMessaging, type Message } from "firebase-admin/messaging";
import { cpuTime } from "./system.ts";

// The ceiling of the push pipeline: firebase-admin sends to the emulator as quickly as it can, and
// nothing is read or written anywhere. Deliberately nothing of src/, so that it stays what it is.
// Arguments: the emulator's host:port and process id, how many messages. Prints messages per second,
// and the CPU that this process and the emulator used meanwhile, in cores.

const BATCH = 100;
const BATCHES_AT_ONCE = 4;
const SOCKETS = 64;
/** Messages before the clock starts: connections and the compiler are warm then. */
const WARM_UP = 2000;

const [host, emulatorPid, count] = process.argv.slice(2) as [string, string, string];
const [hostname, port] = host.split(":") as [string, string];

const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS });
// Every connection goes to the emulator, whose certificate is its own.
agent.createConnection = () =>
  connect({
    host: hostname,
    port: Number(port),
    servername: "localhost",
    rejectUnauthorized: false,
  });
const messaging = getMessaging(
  initializeApp({
    projectId: "howdah-bench",
    httpAgent: agent,
    credential: {
      getAccessToken: async () => ({ access_token: "emulated", expires_in: 3600 }),
    },
  }),
);
messaging.enableLegacyHttpTransport();

await sendAll(WARM_UP);
const emulatorBefore = await cpuTime(Number(emulatorPid));
const cpuBefore = await cpuTime(process.pid);
const began = performance.now();
await sendAll(Number(count));
const seconds = (performance.now() - began) / 1000;
console.log(
  JSON.stringify({
    perSecond: Number(count) / seconds,
    cores: ((await cpuTime(process.pid)) - cpuBefore) / seconds,
    emulatorCores: ((await cpuTime(Number(emulatorPid))) - emulatorBefore) / seconds,
  }),
);
// The agent's connections would keep it alive.
process.exit(0);

async function sendAll(total: number): Promise<void> {
  let sent = 0;
  await Promise.all(
    Array.from({ length: BATCHES_AT_ONCE }, async () => {
      while (sent < total) {
        const size = Math.min(BATCH, total - sent);
        const messages = Array.from({ length: size }, (_, index) => message(sent + index));
        sent += size;
        const { failureCount } = await messaging.sendEach(messages);
        if (failureCount > 0) throw new Error(`${failureCount} messages failed.`);
      }
    }),
  );
}

/** Shaped and sized like those of the pipeline. */
function message(number: number): Message {
  return {
    token: `bare-${number}`,
    notification: { title: "Bench", body: "A message of usual length for a phone" },
    data: { notification_id: "1", event: "bench.sent" },
    android: { priority: "high", ttl: 2_419_200_000, notification: { tag: "notification-1" } },
    apns: {
      headers: {
        "apns-priority": "10",
        "apns-expiration": "1893456000",
        "apns-collapse-id": "notification-1",
      },
      payload: { aps: {} },
    },
    webpush: {
      headers: { TTL: "2419200", Urgency: "high" },
      notification: { tag: "notification-1" },
    },
  };
}
