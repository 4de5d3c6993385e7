import { describe, expect, it } from "vitest";
import { useEmulator } from "../support/emulator.ts";

const used = useEmulator();
const { call, send } = used;

const FCM_ERROR = {
  "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
  errorCode: "INVALID_ARGUMENT",
};
const BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest";
const long = "y".repeat(4096);

describe("the FCM emulator's checks", () => {
  it.each([
    ["no message", undefined, "message"],
    ["no target", { notification: { body: "x" } }, "message"],
    ["an empty token", { token: "" }, "message.token"],
    ["an empty installation id", { fid: "" }, "message.fid"],
    ["a topic with its prefix", { topic: "/topics/news" }, "message.topic"],
    ["half a condition", { condition: "'a' in topics &&" }, "message.condition"],
    ["a condition of words", { condition: "news" }, "message.condition"],
    [
      "a condition of six topics",
      { condition: [1, 2, 3, 4, 5, 6].map((n) => `'t${n}' in topics`).join(" || ") },
      "message.condition",
    ],
    ["the reserved key from", { token: "a", data: { from: "x" } }, "message.data"],
    ["the reserved key message_type", { token: "a", data: { message_type: "x" } }, "message.data"],
    ["a reserved gcm key", { token: "a", data: { gcm: "x" } }, "message.data"],
    ["a reserved google key", { token: "a", data: { "google.x": "x" } }, "message.data"],
    [
      "a reserved key of Android's data",
      { token: "a", android: { data: { from: "x" } } },
      "message.android.data",
    ],
    ["over 4,096 bytes", { token: "a", data: { x: long } }, "message"],
    ["over 4,096 bytes to a topic", { topic: "a", data: { x: long } }, "message"],
    [
      "over 4,096 bytes for one platform",
      { token: "a", apns: { payload: { x: long } } },
      "message",
    ],
    ["a ttl over four weeks", { token: "a", android: { ttl: "2419201s" } }, "message.android.ttl"],
    ["a negative ttl", { token: "a", android: { ttl: "-1s" } }, "message.android.ttl"],
    [
      "a colour by name",
      { token: "a", android: { notification: { color: "red" } } },
      "message.android.notification.color",
    ],
    [
      "an unknown apns-priority",
      { token: "a", apns: { headers: { "apns-priority": "7" } } },
      "message.apns.headers.apns-priority",
    ],
    [
      "an apns-expiration that is no time",
      { token: "a", apns: { headers: { "apns-expiration": "soon" } } },
      "message.apns.headers.apns-expiration",
    ],
    [
      "a long apns-collapse-id",
      { token: "a", apns: { headers: { "apns-collapse-id": "x".repeat(65) } } },
      "message.apns.headers.apns-collapse-id",
    ],
    ["an aps of text", { token: "a", apns: { payload: { aps: "x" } } }, "message.apns.payload.aps"],
    [
      "an alert that is a number",
      { token: "a", apns: { payload: { aps: { alert: 1 } } } },
      "message.apns.payload.aps.alert",
    ],
    [
      "an alert's title that is a number",
      { token: "a", apns: { payload: { aps: { alert: { title: 1 } } } } },
      "message.apns.payload.aps.alert.title",
    ],
    [
      "a badge of text",
      { token: "a", apns: { payload: { aps: { badge: "1" } } } },
      "message.apns.payload.aps.badge",
    ],
    [
      "a sound that is a number",
      { token: "a", apns: { payload: { aps: { sound: 1 } } } },
      "message.apns.payload.aps.sound",
    ],
    [
      "an unknown Urgency",
      { token: "a", webpush: { headers: { Urgency: "now" } } },
      "message.webpush.headers.Urgency",
    ],
    [
      "a long Topic",
      { token: "a", webpush: { headers: { Topic: "x".repeat(33) } } },
      "message.webpush.headers.Topic",
    ],
    [
      "a TTL of words",
      { token: "a", webpush: { headers: { TTL: "1 h" } } },
      "message.webpush.headers.TTL",
    ],
  ])("refuse %s as FCM does", async (_what, message, field) => {
    const { status, body } = await send(message);
    expect(status).toBe(400);
    expect(body.error).toEqual({
      code: 400,
      status: "INVALID_ARGUMENT",
      message: expect.any(String),
      details: [
        { "@type": BAD_REQUEST, fieldViolations: [{ field, description: body.error.message }] },
        FCM_ERROR,
      ],
    });
    expect(used.emulator.phones.list()).toEqual([]);
  });

  it.each([
    [
      "an unknown name",
      { token: "a", tokens: ["b"] },
      "message",
      `Invalid JSON payload received. Unknown name "tokens" at 'message': Cannot find field.`,
    ],
    [
      "an unknown name further down",
      { token: "a", notification: { click_action: "x" } },
      "message.notification",
      `Invalid JSON payload received. Unknown name "click_action" at 'message.notification': Cannot find field.`,
    ],
    [
      "two targets",
      { token: "a", topic: "b" },
      "message",
      "Invalid value at 'message' (oneof), oneof field 'target' is already set. Cannot set 'topic'",
    ],
    [
      "a number among the data",
      { token: "a", data: { s: "x", n: 10 } },
      "message.data[1].value",
      "Invalid value at 'message.data[1].value' (TYPE_STRING), 10",
    ],
    [
      "a header that is a number",
      { token: "a", apns: { headers: { "apns-priority": 10 } } },
      "message.apns.headers[0].value",
      "Invalid value at 'message.apns.headers[0].value' (TYPE_STRING), 10",
    ],
    [
      "an unknown priority",
      { token: "a", android: { priority: "urgent" } },
      "message.android.priority",
      `Invalid value at 'message.android.priority' (type.googleapis.com/google.firebase.fcm.v1.AndroidMessagePriority), "urgent"`,
    ],
    [
      "a ttl without unit",
      { token: "a", android: { ttl: "60" } },
      "message.android.ttl",
      `Invalid value at 'message.android.ttl' (type.googleapis.com/google.protobuf.Duration), "60"`,
    ],
    [
      "a notification of text",
      { token: "a", notification: "Hi" },
      "message.notification",
      `Invalid value at 'message.notification' (type.googleapis.com/google.firebase.fcm.v1.Notification), "Hi"`,
    ],
    [
      "a list where there is none",
      { token: "a", android: { notification: { body_loc_args: "x" } } },
      "message.android.notification.body_loc_args",
      `Invalid value at 'message.android.notification.body_loc_args' (TYPE_STRING), "x"`,
    ],
    [
      "data that is no map",
      { token: "a", data: ["x"] },
      "message.data",
      `Invalid value at 'message.data' (Map), ["x"]`,
    ],
  ])(
    "refuse %s as Google's parser does, without an FcmError",
    async (_what, message, field, description) => {
      const { status, body } = await send(message);
      expect(status).toBe(400);
      expect(body.error).toEqual({
        code: 400,
        status: "INVALID_ARGUMENT",
        message: description,
        details: [{ "@type": BAD_REQUEST, fieldViolations: [{ field, description }] }],
      });
    },
  );

  it("name all that the parser has found, one a line", async () => {
    const { body } = await send({ token: "a", priority: "high" }, { to: "a" });
    expect(body.error.message.split("\n")).toEqual([
      `Invalid JSON payload received. Unknown name "priority" at 'message': Cannot find field.`,
      `Invalid JSON payload received. Unknown name "to": Cannot find field.`,
    ]);
    expect(body.error.details[0].fieldViolations[1]).toEqual({
      description: `Invalid JSON payload received. Unknown name "to": Cannot find field.`,
    });
  });

  it.each(["{", "", '"text"'])("refuse the body %j, which is no JSON object", async (body) => {
    const answer = await call("POST", "/v1/projects/p/messages:send", body);
    expect(answer.status).toBe(400);
    expect(answer.body.error.message).toMatch(/^Invalid JSON payload received\. /);
  });

  it("refuse a body that is far too long", async () => {
    const { status, body } = await send({ token: "a", data: { x: "y".repeat(70_000) } });
    expect(status).toBe(413);
    expect(body.error.message).toContain("65536 bytes");
  });

  it("take either name of a field, and null for nothing", async () => {
    const android = { collapseKey: "k", priority: "high", ttl: null };
    expect((await send({ token: "a", android, data: null })).status).toBe(200);
    expect(used.emulator.phones.messages("a")[0]?.message).toEqual({
      token: "a",
      android: { collapse_key: "k", priority: "high" },
    });
  });

  it("take exactly 4,096 bytes, and a token that is long besides", async () => {
    const overhead = JSON.stringify({ notification: {}, data: { x: "" } }).length;
    const data = { x: "y".repeat(4096 - overhead) };
    expect((await send({ token: "a".repeat(200), data })).status).toBe(200);
    expect((await send({ token: "a", data: { x: `${data.x}y` } })).status).toBe(400);
  });

  it("refuse who shows no token", async () => {
    const anonymous = await fetch(`${used.emulator.url}/v1/projects/p/messages:send`, {
      method: "POST",
      body: JSON.stringify({ message: { token: "a" } }),
    });
    expect(anonymous.status).toBe(401);
    const { error } = (await anonymous.json()) as { error: { details: { reason: string }[] } };
    expect(error.details[0]?.reason).toBe("CREDENTIALS_MISSING");
  });

  it("reach the SDK as its own errors", async () => {
    await expect(
      used.firebase.messaging.send({ token: "a", data: { gcm: "x" } }),
    ).rejects.toMatchObject({
      code: "messaging/invalid-argument",
      message: "Invalid data payload key: gcm",
    });
  });
});
