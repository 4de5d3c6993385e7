import { describe, expect, it } from "vitest";
import { startFcmEmulator } from "../../src/push/emulator/emulator.ts";
import { useEmulator } from "../support/emulator.ts";

const used = useEmulator();
const { call, send } = used;

describe("the FCM emulator", () => {
  it("takes messages of the unmodified firebase-admin over TLS, and shows them over HTTP on the same port", async () => {
    const { messaging } = used.firebase;
    const name = await messaging.send({ token: "phone-1", notification: { body: "Hi" } });
    expect(name).toMatch(/^projects\/howdah-emulator\/messages\/[0-9a-f-]{36}$/);
    const { body } = await call("GET", "/phones/phone-1");
    expect(body.messages).toEqual([
      {
        name,
        receivedAt: expect.stringMatching(/Z$/),
        message: { token: "phone-1", notification: { body: "Hi" } },
        shown: expect.any(Object),
      },
    ]);
    expect((await call("GET", "/phones")).body).toEqual({
      phones: [{ token: "phone-1", messages: 1 }],
    });
    await call("DELETE", "/phones");
    expect((await call("GET", "/phones")).body).toEqual({ phones: [] });
  });

  it("takes installation ids as well as tokens", async () => {
    await used.firebase.messaging.send({ fid: "installation-1", data: { a: "b" } });
    expect(used.emulator.phones.messages("installation-1")).toHaveLength(1);
  });

  it("takes all that the SDK can write", async () => {
    await used.firebase.messaging.send({
      token: "full",
      data: { order: "7" },
      notification: { title: "T", body: "B", imageUrl: "https://example.com/i.png" },
      fcmOptions: { analyticsLabel: "l" },
      android: {
        collapseKey: "c",
        priority: "high",
        ttl: 1500,
        restrictedPackageName: "com.example",
        directBootOk: true,
        data: { a: "b" },
        fcmOptions: { analyticsLabel: "l" },
        notification: {
          color: "#aabbcc",
          tag: "t",
          bodyLocKey: "k",
          bodyLocArgs: ["x"],
          channelId: "c",
          eventTimestamp: new Date(),
          localOnly: true,
          priority: "high",
          vibrateTimingsMillis: [100, 200],
          visibility: "private",
          notificationCount: 3,
          lightSettings: {
            color: "#aabbccdd",
            lightOnDurationMillis: 10,
            lightOffDurationMillis: 20,
          },
        },
      },
      apns: {
        headers: { "apns-priority": "10", "apns-collapse-id": "c" },
        liveActivityToken: "l",
        fcmOptions: { imageUrl: "https://example.com/i.png" },
        payload: {
          aps: { alert: { title: "T", locKey: "k", locArgs: ["x"] }, badge: 1, sound: "s" },
          custom: { deep: true },
        },
      },
      webpush: {
        headers: { TTL: "60", Urgency: "high", Topic: "t" },
        data: { a: "b" },
        notification: { title: "T", actions: [{ action: "a", title: "A" }] },
        fcmOptions: { link: "https://example.com" },
      },
    });
    expect(used.emulator.phones.messages("full")[0]?.message.android).toMatchObject({
      priority: "high",
      ttl: "1.500000000s",
    });
  });

  it("checks a message without keeping it where it is only to be validated", async () => {
    const name = await used.firebase.messaging.send({ token: "phone-2", data: { a: "b" } }, true);
    expect(name).toBe("projects/howdah-emulator/messages/fake_message_id");
    expect(used.emulator.phones.list()).toEqual([]);
  });

  it("hands topic messages to the phones that the SDK has subscribed", async () => {
    const { messaging } = used.firebase;
    expect(await messaging.subscribeToTopic(["a", "b", "c"], "news")).toMatchObject({
      successCount: 3,
    });
    await messaging.unsubscribeFromTopic("c", "/topics/news");
    await messaging.send({ topic: "news", notification: { body: "Hi" } });
    expect(used.emulator.phones.list().map(({ token }) => token)).toEqual(["a", "b"]);
    expect((await call("GET", "/phones/a")).body.topics).toEqual(["news"]);
  });

  it("takes subscriptions of the older Instance ID interface, too", async () => {
    const { messaging } = used.firebase;
    await call("DELETE", "/phones/gone");
    const answer = await messaging.subscribeToTopicLegacy(["a", "gone"], "news");
    expect(answer).toMatchObject({ successCount: 1, failureCount: 1 });
    expect((await call("GET", "/phones/a")).body.topics).toEqual(["news"]);
    await messaging.unsubscribeFromTopicLegacy("a", "news");
    expect((await call("GET", "/phones/a")).body.topics).toEqual([]);
    expect((await call("POST", "/iid/v1:batchAdd", "{")).status).toBe(400);
  });

  it.each([
    ["'dogs' in topics && 'cats' in topics", ["both"]],
    ["'dogs' in topics || 'cats' in topics", ["both", "dogs"]],
    ["'dogs' in topics && !('cats' in topics)", ["dogs"]],
    ["'birds' in topics || 'dogs' in topics && 'cats' in topics", ["both"]],
  ])(
    "hands a message to the condition %s to the phones that meet it",
    async (condition, tokens) => {
      await used.firebase.messaging.subscribeToTopic(["both", "dogs"], "dogs");
      await used.firebase.messaging.subscribeToTopic("both", "cats");
      await used.firebase.messaging.send({ condition, notification: { body: "Hi" } });
      expect(used.emulator.phones.list().map(({ token }) => token)).toEqual(tokens);
    },
  );

  it("keeps a bounded number of messages for each phone", async () => {
    for (let i = 0; i < 120; i += 1) await send({ token: "chatty", data: { i: String(i) } });
    const messages = used.emulator.phones.messages("chatty");
    expect(messages).toHaveLength(100);
    expect(messages.at(-1)?.message).toMatchObject({ data: { i: "119" } });
  });

  it("keeps a bounded number of phones", () => {
    const { phones } = used.emulator;
    const body = JSON.stringify({ message: { token: "x" } });
    for (let i = 0; i <= 200_000; i += 1) phones.receive(`${i}`, { name: "n", at: 0, body });
    expect(phones.size()).toBe(200_000);
    expect(phones.messages("0")).toEqual([]);
    expect(phones.messages("200000")).toHaveLength(1);
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
