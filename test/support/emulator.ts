import { afterAll, afterEach, beforeAll } from "vitest";
import { type FcmEmulator, startFcmEmulator } from "../../src/push/emulator/emulator.ts";
import { createMessaging } from "../../src/push/messaging.ts";

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: shaped by the endpoint
  body: any;
}

/** An emulator of its own for a test file, forgetful after each test; to be read once tests run. */
export function useEmulator() {
  const used = {} as {
    emulator: FcmEmulator;
    firebase: ReturnType<typeof createMessaging>;
  };
  beforeAll(async () => {
    used.emulator = await startFcmEmulator({ host: "127.0.0.1", port: 0 });
    used.firebase = createMessaging({ kind: "emulator", host: used.emulator.host });
  });
  afterEach(() => call("POST", "/reset"));
  afterAll(async () => {
    await used.firebase.close();
    await used.emulator.close();
  });

  /** Over plain HTTP, as curl does. A string is sent as it is. */
  async function call(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(used.emulator.url + path, {
      method,
      headers: { authorization: "Bearer x", "content-type": "application/json" },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json");
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : text,
    };
  }

  const send = (message: unknown, more: object = {}) =>
    call("POST", "/v1/projects/p/messages:send", { message, ...more });

  return Object.assign(used, { call, send });
}
