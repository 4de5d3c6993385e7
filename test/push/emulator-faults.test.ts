import { describe, expect, it } from "vitest";
import { useEmulator } from "../support/emulator.ts";
import { until } from "../support/until.ts";

const used = useEmulator();
const { send } = used;

const FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError";

/** The error that the SDK makes of what a message to this token is answered with. */
async function errorOf(token: string) {
  const { responses } = await used.firebase.messaging.sendEach([{ token }]);
  return responses[0]?.error as unknown as {
    code: string;
    httpResponse?: {
      status: number;
      headers: Record<string, string>;
      // biome-ignore lint/suspicious/noExplicitAny: shaped by the fault
      data: any;
    };
  };
}

describe("the FCM emulator's faults", () => {
  it.each([
    ["UNREGISTERED", 404, "NOT_FOUND", "UNREGISTERED", "registration-token-not-registered"],
    ["INVALID_ARGUMENT", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "invalid-argument"],
    ["INVALID_TOKEN", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "invalid-argument"],
    ["APNS_UNREGISTERED", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "invalid-argument"],
    ["INVALID_PAYLOAD", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "invalid-argument"],
    ["SENDER_ID_MISMATCH", 403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "mismatched-credential"],
    ["PERMISSION_DENIED", 403, "PERMISSION_DENIED", undefined, "mismatched-credential"],
    [
      "THIRD_PARTY_AUTH_ERROR",
      401,
      "UNAUTHENTICATED",
      "THIRD_PARTY_AUTH_ERROR",
      "third-party-auth-error",
    ],
    ["UNAUTHENTICATED", 401, "UNAUTHENTICATED", undefined, "third-party-auth-error"],
    ["QUOTA_EXCEEDED", 429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "message-rate-exceeded"],
    ["DEVICE_QUOTA_EXCEEDED", 429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "message-rate-exceeded"],
    ["TOPIC_QUOTA_EXCEEDED", 429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "message-rate-exceeded"],
    ["RATE_LIMIT_EXCEEDED", 429, "RESOURCE_EXHAUSTED", undefined, "message-rate-exceeded"],
    ["INTERNAL", 500, "INTERNAL", "INTERNAL", "internal-error"],
  ] as const)(
    "answer %s with HTTP %i %s, to the SDK too",
    async (respond, http, status, errorCode, code) => {
      used.emulator.faults.add({ match: "faulty", respond, retryAfter: 7 });
      const error = await errorOf("faulty-1");
      expect(error.code).toBe(`messaging/${code}`);
      expect(error.httpResponse?.status).toBe(http);
      expect(error.httpResponse?.headers["retry-after"]).toBe("7");
      const { details, ...rest } = error.httpResponse?.data.error ?? {};
      expect(rest).toEqual({ code: http, status, message: expect.any(String) });
      const fcm = details.find((detail: { "@type": string }) => detail["@type"] === FCM_ERROR);
      expect(fcm?.errorCode).toBe(errorCode);
      expect(used.emulator.sends.all()).toEqual({ [respond]: 1 });
      expect(used.emulator.phones.list()).toEqual([]);
    },
  );

  it("leave Retry-After away where none is asked for", async () => {
    const { status, headers } = await send({ token: "quota-1" });
    expect(status).toBe(429);
    expect(headers.get("retry-after")).toBeNull();
  });

  it.each([
    ["INVALID_ARGUMENT", { token: "a" }, { field: "message.token" }],
    ["INVALID_ARGUMENT", { fid: "a" }, { field: "message.fid" }],
    ["INVALID_PAYLOAD", { token: "a" }, { field: "message.data" }],
  ] as const)("of %s to %j name the field", async (respond, message, violation) => {
    used.emulator.faults.add({ respond });
    const { body } = await send(message);
    expect(body.error.details[0].fieldViolations).toMatchObject([violation]);
  });

  it.each([
    ["QUOTA_EXCEEDED", { token: "a" }, "project:p"],
    ["DEVICE_QUOTA_EXCEEDED", { token: "a" }, "device:a"],
    ["TOPIC_QUOTA_EXCEEDED", { topic: "news" }, "topic:news"],
  ] as const)("of %s say which quota it is", async (respond, message, subject) => {
    used.emulator.faults.add({ respond });
    const { body } = await send(message);
    expect(body.error.details[1]).toMatchObject({
      "@type": "type.googleapis.com/google.rpc.QuotaFailure",
      violations: [{ subject }],
    });
  });

  it.each([
    ["unregistered", 404],
    ["invalid", 400],
    ["badtoken", 400],
    ["apnsgone", 400],
    ["payload", 400],
    ["mismatch", 403],
    ["denied", 403],
    ["thirdparty", 401],
    ["unauthenticated", 401],
    ["quota", 429],
    ["devicequota", 429],
    ["topicquota", 429],
    ["ratelimit", 429],
    ["unavailable", 503],
    ["internal", 500],
    ["html", 502],
    ["delayed", 200],
  ])("need no rule for a token that begins with %s-", async (prefix, status) => {
    expect((await send({ token: `${prefix}-1` })).status).toBe(status);
    expect((await send({ token: `${prefix}less` })).status).toBe(200);
  });

  it.each(["reset-1", "goaway-1"])("lose the connection and the message for %s", async (token) => {
    await expect(send({ token })).rejects.toThrow("fetch failed");
    expect(used.emulator.phones.list()).toEqual([]);
  });

  it("lose the connection after the message was taken: the sender cannot know, and repeats", async () => {
    used.emulator.faults.add({ respond: "RESET_AFTER", times: 1 });
    await used.firebase.messaging.send({ token: "twice" });
    expect(used.emulator.phones.messages("twice")).toHaveLength(2);
    expect(used.emulator.sends.all()).toEqual({ RESET_AFTER: 1, ACCEPTED: 2 });
    await expect(send({ token: "resetafter-1" })).rejects.toThrow("fetch failed");
    expect(used.emulator.phones.messages("resetafter-1")).toHaveLength(1);
  });

  it("answer 503 until the SDK's own retry comes through", async () => {
    used.emulator.faults.add({ respond: "UNAVAILABLE", times: 1 });
    await used.firebase.messaging.send({ token: "patient" });
    expect(used.emulator.sends.all()).toEqual({ UNAVAILABLE: 1, ACCEPTED: 1 });
  });

  it("show a proxy's page as the SDK sees it", async () => {
    const error = await errorOf("html-1");
    expect(error.code).toBe("messaging/unknown-error");
    expect((await send({ token: "html-1" })).body).toContain("502 Bad Gateway");
  });

  it("hang until the sender gives up", async () => {
    const giveUp = new AbortController();
    const hanging = fetch(`${used.emulator.url}/v1/projects/p/messages:send`, {
      method: "POST",
      headers: { authorization: "Bearer x" },
      body: JSON.stringify({ message: { token: "hang-1" } }),
      signal: giveUp.signal,
    });
    await until(
      async () => used.emulator.sends.all().HANG,
      (count) => count === 1,
    );
    giveUp.abort();
    await expect(hanging).rejects.toThrow("aborted");
  });

  it("answer late, and leave out whoever has gone by then", async () => {
    used.emulator.faults.add({ token: "gone", respond: "ACCEPT", delay: 100 });
    used.emulator.faults.add({ token: "late", respond: "ACCEPT", delay: 100 });
    const giveUp = new AbortController();
    const gone = fetch(`${used.emulator.url}/v1/projects/p/messages:send`, {
      method: "POST",
      headers: { authorization: "Bearer x" },
      body: JSON.stringify({ message: { token: "gone" } }),
      signal: giveUp.signal,
    });
    await until(
      async () => used.emulator.faults.list()[0]?.applied,
      (applied) => applied === 1,
    );
    giveUp.abort();
    await expect(gone).rejects.toThrow("aborted");
    const from = performance.now();
    expect((await send({ token: "late" })).status).toBe(200);
    expect(performance.now() - from).toBeGreaterThan(95);
    expect(used.emulator.phones.list()).toEqual([{ token: "late", messages: 1 }]);
  });
});
