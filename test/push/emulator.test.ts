import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type FcmEmulator, startFcmEmulator } from "../../src/push/emulator/emulator.ts";
import { createMessaging } from "../../src/push/messaging.ts";

let emulator: FcmEmulator;
let firebase: ReturnType<typeof createMessaging>;

beforeAll(async () => {
  emulator = await startFcmEmulator({ host: "127.0.0.1", port: 0 });
  firebase = createMessaging({ kind: "emulator", host: emulator.host });
});
afterEach(() => {
  emulator.phones.clear();
  emulator.faults.clear();
});
afterAll(async () => {
  await firebase.close();
  await emulator.close();
});

interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: shaped by the endpoint
  body: any;
}

async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(emulator.url + path, {
    method,
    headers: { authorization: "Bearer x", "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}
const send = (message: unknown) => call("POST", "/v1/projects/p/messages:send", { message });

describe("the FCM emulator", () => {
  it("takes messages of the unmodified firebase-admin over TLS, and shows them over HTTP on the same port", async () => {
    const name = await firebase.messaging.send({ token: "phone-1", notification: { body: "Hi" } });
    expect(name).toMatch(/^projects\/howdah-emulator\/messages\/[0-9a-f-]{36}$/);
    const { body } = await call("GET", "/phones/phone-1");
    expect(body).toEqual({
      token: "phone-1",
      messages: [
        {
          name,
          receivedAt: expect.any(String),
          message: { token: "phone-1", notification: { body: "Hi" } },
        },
      ],
    });
    expect((await call("GET", "/phones")).body).toEqual({
      phones: [{ token: "phone-1", messages: 1 }],
    });
    await call("DELETE", "/phones");
    expect((await call("GET", "/phones")).body).toEqual({ phones: [] });
  });

  it("takes installation ids as well as tokens", async () => {
    await firebase.messaging.send({ fid: "installation-1", data: { a: "b" } } as never);
    expect(emulator.phones.messages("installation-1")).toHaveLength(1);
  });

  it("checks a message without keeping it where it is only to be validated", async () => {
    await firebase.messaging.send({ token: "phone-2", data: { a: "b" } }, true);
    expect(emulator.phones.list()).toEqual([]);
  });

  it.each([
    ["no message", undefined],
    ["no target", { notification: { body: "x" } }],
    ["two targets", { token: "a", topic: "b" }],
    ["an empty token", { token: "" }],
    ["data that is no map of strings", { token: "a", data: { n: 1 } }],
    ["the reserved key from", { token: "a", data: { from: "x" } }],
    ["a reserved google key", { token: "a", data: { "google.x": "x" } }],
    ["over 4,096 bytes", { token: "a", data: { x: "y".repeat(4096) } }],
    ["a ttl of more than four weeks", { token: "a", android: { ttl: "2419201s" } }],
    ["a ttl without unit", { token: "a", android: { ttl: "60" } }],
  ])("refuses %s as FCM does", async (_what, message) => {
    const { status, body } = await send(message);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 400, status: "INVALID_ARGUMENT" });
    expect(body.error.details[0]).toEqual({
      "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
      errorCode: "INVALID_ARGUMENT",
    });
    expect(emulator.phones.list()).toEqual([]);
  });

  it("refuses who shows no token, and what is no JSON", async () => {
    const anonymous = await fetch(`${emulator.url}/v1/projects/p/messages:send`, {
      method: "POST",
      body: JSON.stringify({ message: { token: "a" } }),
    });
    expect(anonymous.status).toBe(401);
    const broken = await fetch(`${emulator.url}/v1/projects/p/messages:send`, {
      method: "POST",
      headers: { authorization: "Bearer x" },
      body: "{",
    });
    expect(broken.status).toBe(400);
  });

  it.each([
    ["UNREGISTERED", 404, "messaging/registration-token-not-registered"],
    ["INVALID_ARGUMENT", 400, "messaging/invalid-argument"],
    ["SENDER_ID_MISMATCH", 403, "messaging/mismatched-credential"],
    ["THIRD_PARTY_AUTH_ERROR", 401, "messaging/third-party-auth-error"],
    ["QUOTA_EXCEEDED", 429, "messaging/message-rate-exceeded"],
    ["INTERNAL", 500, "messaging/internal-error"],
    ["HTML", 502, "messaging/unknown-error"],
  ] as const)("scripted to answer %s, it does, with HTTP %i", async (respond, status, code) => {
    emulator.faults.add({ match: "faulty", respond, retryAfter: 7 });
    const { responses } = await firebase.messaging.sendEach([{ token: "faulty-1" }]);
    const error = responses[0]?.error as unknown as {
      code: string;
      httpResponse: { status: number; headers: Record<string, string> };
    };
    expect(error.code).toBe(code);
    expect(error.httpResponse.status).toBe(status);
    if (respond !== "HTML") expect(error.httpResponse.headers["retry-after"]).toBe("7");
  });

  it("uses a rule as often as it says, and takes rules over HTTP", async () => {
    await call("POST", "/faults", { match: "*", respond: "INTERNAL", times: 2 });
    expect((await call("GET", "/faults")).body.faults).toEqual([
      { match: "*", respond: "INTERNAL", times: 2 },
    ]);
    const statuses = [];
    for (let i = 0; i < 3; i += 1) statuses.push((await send({ token: "any" })).status);
    expect(statuses).toEqual([500, 500, 200]);
    expect((await call("POST", "/faults", { match: "a", respond: "NONSENSE" })).status).toBe(400);
  });

  it("faults for the tokens of known prefixes without any rule", async () => {
    expect((await send({ token: "unregistered-1" })).status).toBe(404);
    expect((await send({ token: "quota-1" })).status).toBe(429);
    expect((await send({ token: "unregisteredless" })).status).toBe(200);
  });

  it("gives out access tokens, for clients that exchange a service account", async () => {
    const { body } = await call("POST", "/token", {});
    expect(body).toMatchObject({ token_type: "Bearer", expires_in: 3600 });
  });

  it("keeps a bounded number of messages for each phone", async () => {
    for (let i = 0; i < 120; i += 1) await send({ token: "chatty", data: { i: String(i) } });
    const messages = emulator.phones.messages("chatty");
    expect(messages).toHaveLength(100);
    expect(messages.at(-1)?.message).toMatchObject({ data: { i: "119" } });
  });

  it("closes at once, also while a request hangs", async () => {
    const other = await startFcmEmulator({ host: "127.0.0.1", port: 0 });
    const hanging = fetch(`${other.url}/v1/projects/p/messages:send`, {
      method: "POST",
      headers: { authorization: "Bearer x" },
      body: JSON.stringify({ message: { token: "hang-1" } }),
    });
    await Promise.all([other.close(), expect(hanging).rejects.toThrow()]);
  });
});
