import { describe, expect, it } from "vitest";
import { useEmulator } from "../support/emulator.ts";

const used = useEmulator();
const { call, send } = used;

const phone = async (token: string) => (await call("GET", `/phones/${token}`)).body;
const set = (token: string, change: object) => call("PATCH", `/phones/${token}`, change);

describe("a phone of the FCM emulator", () => {
  it("shows a message as each platform would: the common part, overridden by its own", async () => {
    await send({
      token: "a",
      data: { order: "7" },
      notification: { title: "Order", body: "On its way", image: "https://example.com/i.png" },
      android: {
        priority: "high",
        ttl: "60s",
        collapse_key: "orders",
        data: { own: "1" },
        notification: { title: "Order 7", channel_id: "orders", tag: "order-7" },
      },
      apns: {
        headers: { "apns-priority": "5", "apns-collapse-id": "order-7", "apns-expiration": "0" },
        payload: { aps: { alert: { body: "Soon there" }, badge: 3 }, custom: { deep: true } },
      },
      webpush: {
        headers: { Urgency: "low", Topic: "orders", TTL: "30" },
        notification: { body: "In your browser", tag: "web-7" },
      },
    });
    const { shown } = (await phone("a")).messages[0];
    const image = "https://example.com/i.png";
    expect(shown).toEqual({
      android: {
        visible: true,
        title: "Order 7",
        body: "On its way",
        data: { own: "1" },
        notification: {
          title: "Order 7",
          body: "On its way",
          image,
          channel_id: "orders",
          tag: "order-7",
        },
        priority: "HIGH",
        tag: "order-7",
        collapseKey: "orders",
        ttl: 60,
      },
      apns: {
        visible: true,
        title: "Order",
        body: "Soon there",
        data: { order: "7", custom: { deep: true } },
        notification: { alert: { title: "Order", body: "Soon there" }, badge: 3 },
        priority: "5",
        tag: "order-7",
        collapseKey: "order-7",
        ttl: 0,
      },
      webpush: {
        visible: true,
        title: "Order",
        body: "In your browser",
        data: { order: "7" },
        notification: { title: "Order", body: "In your browser", image, tag: "web-7" },
        priority: "low",
        tag: "web-7",
        collapseKey: "orders",
        ttl: 30,
      },
    });
  });

  it("takes an alert that is a plain text", async () => {
    await send({ token: "a", apns: { payload: { aps: { alert: "Hi" } } } });
    const { shown } = (await phone("a")).messages[0];
    expect(shown.apns).toMatchObject({ visible: true, title: null, body: "Hi" });
    expect(shown.android.visible).toBe(false);
  });

  it("replaces what it shows by the newer message with the same tag, and shows no data", async () => {
    const tagged = (body: string, tag?: string) =>
      send({ token: "a", notification: { body }, android: { notification: tag ? { tag } : {} } });
    await tagged("one", "t");
    await tagged("two");
    await tagged("three", "t");
    await send({ token: "a", data: { silent: "yes" } });
    const { tray, messages } = await phone("a");
    expect(messages).toHaveLength(4);
    expect(tray.map(({ body }: { body: string }) => body)).toEqual(["two", "three"]);
  });

  it("of another platform goes by that platform's identifiers", async () => {
    const apns = { headers: { "apns-collapse-id": "c" } };
    const android = { notification: { tag: "t" } };
    for (const body of ["one", "two"]) await send({ token: "a", notification: { body }, apns });
    await send({ token: "a", notification: { body: "three" }, android });
    const bodies = async () => (await phone("a")).tray.map(({ body }: { body: string }) => body);
    expect(await bodies()).toEqual(["one", "two", "three"]);
    await set("a", { platform: "apns" });
    expect(await bodies()).toEqual(["two", "three"]);
  });

  it("that is offline gets what was stored once it is online, in order", async () => {
    await set("a", { online: false });
    await send({ token: "a", data: { n: "1" } });
    await send({ token: "a", data: { n: "2" } });
    expect(await phone("a")).toMatchObject({
      online: false,
      messages: [],
      stored: [{ collapseKey: null, expiresAt: expect.any(String) }, {}],
    });
    const next = used.emulator.phones.nextMessage("a", 1000);
    const { messages, stored } = (await set("a", { online: true })).body;
    expect(messages.map(({ message }: { message: { data: object } }) => message.data)).toEqual([
      { n: "1" },
      { n: "2" },
    ]);
    expect(stored).toEqual([]);
    expect((await next).message.data).toEqual({ n: "1" });
    expect(used.emulator.arrivals.all()).toEqual({ STORED: 2 });
  });

  it("that is offline has one message for each collapse key, and four keys", async () => {
    await set("a", { online: false });
    for (const collapse_key of ["a", "b", "a", "c", "d", "e"]) {
      await send({ token: "a", data: {}, android: { collapse_key } });
    }
    const { stored } = await phone("a");
    expect(stored.map(({ collapseKey }: { collapseKey: string }) => collapseKey)).toEqual([
      "a",
      "c",
      "d",
      "e",
    ]);
  });

  it("that is offline loses all plain messages with the hundred-and-first, and is told", async () => {
    await set("a", { online: false });
    await send({ token: "a", data: {}, android: { collapse_key: "k" } });
    for (let n = 0; n < 101; n += 1) await send({ token: "a", data: { n: `${n}` } });
    const { stored, discarded } = await phone("a");
    expect(stored).toHaveLength(2);
    expect(discarded).toBe(true);
  });

  it.each([
    ["android", { android: { ttl: "60s" } }, { android: { ttl: "0s" } }],
    ["webpush", { webpush: { headers: { TTL: "60" } } }, { webpush: { headers: { TTL: "0" } } }],
    [
      "apns",
      { apns: { headers: { "apns-expiration": `${Math.floor(Date.now() / 1000) + 60}` } } },
      { apns: { headers: { "apns-expiration": "0" } } },
    ],
  ])(
    "of %s that comes online late misses what has expired, or was now or never",
    async (platform, minute, never) => {
      await set("a", { online: false, platform });
      await send({ token: "a", data: { life: "minute" }, ...minute });
      await send({ token: "a", data: { life: "never" }, ...never });
      await send({ token: "a", data: { life: "long" } });
      expect((await phone("a")).stored).toHaveLength(2);
      await call("POST", "/clock", { advance: 120 });
      const { messages } = (await set("a", { online: true })).body;
      expect(messages.map(({ message }: { message: { data: object } }) => message.data)).toEqual([
        { life: "long" },
      ]);
      expect(used.emulator.arrivals.all()).toEqual({ STORED: 2, DROPPED: 1 });
    },
  );

  it("that removes the app is UNREGISTERED, to the SDK too, until all is forgotten", async () => {
    await send({ token: "a" });
    expect((await call("DELETE", "/phones/a")).body).toEqual({ token: "a", uninstalled: true });
    await expect(used.firebase.messaging.send({ token: "a" })).rejects.toMatchObject({
      code: "messaging/registration-token-not-registered",
    });
    expect(await used.firebase.messaging.subscribeToTopic("a", "news")).toMatchObject({
      failureCount: 1,
    });
    await call("DELETE", "/phones");
    expect((await send({ token: "a" })).status).toBe(200);
  });

  it("may have a token of any characters", async () => {
    const token = "dR:APA91b/é x";
    await send({ token });
    expect((await phone(encodeURIComponent(token))).messages).toHaveLength(1);
  });

  it("tells whoever waits in the same process that nothing came", async () => {
    await expect(used.emulator.phones.nextMessage("nobody", 1)).rejects.toThrow(
      "Phone nobody got no message within 1 ms.",
    );
  });
});
