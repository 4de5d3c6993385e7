import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import { createSecureServer } from "node:http2";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { listen } from "../../http/listen.ts";
import { GOOGLE_HOSTS, makeCertificate } from "./certificate.ts";
import { type Clock, createClock } from "./clock.ts";
import { createEvents, type Events } from "./events.ts";
import { createFaults, type Faults } from "./faults.ts";
import { createPhones, type Phones } from "./phones.ts";
import { createHandler } from "./routes.ts";
import { createStats, type Stats } from "./stats.ts";
import { createTopics, type Topics } from "./topics.ts";
import { messageView } from "./view.ts";

/** All that one emulator knows. */
export interface Emulated {
  phones: Phones;
  topics: Topics;
  faults: Faults;
  events: Events;
  clock: Clock;
  /** What became of requests to send. */
  sends: Stats;
  /** What became of messages on their way to phones. */
  arrivals: Stats;
  /** PEM. */
  certificate: string;
}

export interface FcmEmulator extends Emulated {
  /** `host:port`, for FCM_EMULATOR_HOST. */
  host: string;
  /** For people and curl; senders speak TLS on the same port. */
  url: string;
  close(): Promise<void>;
}

/** The first byte of a TLS record that opens a handshake. */
const TLS_HANDSHAKE = 0x16;

/**
 * Starts an emulator of FCM HTTP v1. Its one port speaks TLS (HTTP/1.1 and HTTP/2), which the SDKs
 * insist on, plain HTTP for whoever looks, and is a proxy to itself for what is meant for Google.
 */
export async function startFcmEmulator(options: {
  host: string;
  port: number;
}): Promise<FcmEmulator> {
  const { key, cert } = await makeCertificate();
  const emulated = createEmulated(cert);
  const handler = createHandler(emulated);
  const http = createHttpServer(handler);
  // Its requests and responses have what ours use of HTTP/1.1's.
  const https = createSecureServer({ key, cert, allowHTTP1: true }, handler as never);
  http.on("connect", (request, socket, head) => {
    if (head.length > 0) socket.unshift(head);
    tunnel(request, socket, connect);
  });

  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    // A client that goes away is no fault of ours.
    socket.on("error", () => socket.destroy());
    connect(socket);
  });
  function connect(socket: Socket): void {
    socket.once("readable", () => {
      const chunk = socket.read() as Buffer | null;
      if (!chunk) return;
      socket.unshift(chunk);
      (chunk[0] === TLS_HANDSHAKE ? https : http).emit("connection", socket);
    });
  }
  await listen(server, options.port, options.host);
  const { port } = server.address() as AddressInfo;
  return {
    ...emulated,
    host: `${options.host}:${port}`,
    url: `http://${options.host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        emulated.events.close();
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function createEmulated(certificate: string): Emulated {
  const clock = createClock();
  const events = createEvents();
  const phones = createPhones({
    now: clock.now,
    onMessage: (token, kept) =>
      events.publish("message", token, () => ({ token, ...messageView(kept) })),
  });
  return {
    phones,
    topics: createTopics(),
    faults: createFaults(),
    events,
    clock,
    sends: createStats(),
    arrivals: createStats(),
    certificate,
  };
}

/** CONNECT: whoever names us as proxy reaches us under Google's names, and nobody else. */
function tunnel(
  { url = "" }: IncomingMessage,
  socket: Duplex,
  connect: (socket: Socket) => void,
): void {
  const host = url.split(":")[0] as string;
  if (!GOOGLE_HOSTS.includes(host)) {
    const text = `The FCM emulator is a proxy for ${GOOGLE_HOSTS.join(", ")} only, not for ${host}.\n`;
    socket.end(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${text.length}\r\n\r\n${text}`);
    return;
  }
  socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
  connect(socket as Socket);
}
