import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { generate } from "selfsigned";
import { listen } from "../../http/listen.ts";
import { createFaults, type Faults } from "./faults.ts";
import { createPhones, type Phones } from "./phones.ts";
import { createHandler } from "./routes.ts";

export interface FcmEmulator {
  /** `host:port`, for FCM_EMULATOR_HOST. */
  host: string;
  /** For people and curl; senders speak TLS on the same port. */
  url: string;
  phones: Phones;
  faults: Faults;
  close(): Promise<void>;
}

/** The first byte of a TLS record that opens a handshake. */
const TLS_HANDSHAKE = 0x16;

/**
 * Starts an emulator of FCM HTTP v1. Its one port speaks TLS, which the SDK insists on, and plain
 * HTTP for whoever looks: the first byte tells. The certificate is made for this run.
 */
export async function startFcmEmulator(options: {
  host: string;
  port: number;
}): Promise<FcmEmulator> {
  const phones = createPhones();
  const faults = createFaults();
  const handler = createHandler(phones, faults);
  const certificate = await generate([{ name: "commonName", value: "localhost" }], {
    keyType: "ec",
    curve: "P-256",
  });
  const http = createHttpServer(handler);
  const https = createHttpsServer({ key: certificate.private, cert: certificate.cert }, handler);

  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    // A client that goes away is no fault of ours.
    socket.on("error", () => socket.destroy());
    socket.once("readable", () => {
      const chunk = socket.read() as Buffer | null;
      if (!chunk) return;
      socket.unshift(chunk);
      (chunk[0] === TLS_HANDSHAKE ? https : http).emit("connection", socket);
    });
  });
  await listen(server, options.port, options.host);
  const { port } = server.address() as AddressInfo;
  return {
    host: `${options.host}:${port}`,
    url: `http://${options.host}:${port}`,
    phones,
    faults,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
