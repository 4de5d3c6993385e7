import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll } from "vitest";
import { makeCertificate } from "../../src/push/emulator/certificate.ts";
import { createMessaging } from "../../src/push/messaging.ts";

/** What stands where FCM should, and answers as nobody expects. */
export interface OtherAnswer {
  status: number;
  body?: string;
  headers?: Record<string, string>;
}

/** A TLS server for a test file, and firebase-admin that takes it for FCM; `answer` is what it says, from now on. */
export function useOtherFcm() {
  const used = {
    answer: { status: 200 } as OtherAnswer,
    /** How many requests have come. */
    requests: 0,
  } as { answer: OtherAnswer; requests: number; firebase: ReturnType<typeof createMessaging> };
  let server: Server;
  beforeAll(async () => {
    server = createServer(await makeCertificate(), (request, response) => {
      request.resume().on("end", () => {
        used.requests += 1;
        const { status, body = "", headers } = used.answer;
        response.writeHead(status, headers).end(body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    used.firebase = createMessaging({ kind: "emulator", host: `127.0.0.1:${port}` });
  });
  afterAll(async () => {
    await used.firebase.close();
    server.close();
  });
  return used;
}
