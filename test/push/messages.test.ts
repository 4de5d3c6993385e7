import { describe, expect, it } from "vitest";
import { usePushes } from "../support/pushes.ts";

const used = usePushes();

describe("a push", () => {
  it("carries what is left of its life with each try, for all three platforms", async () => {
    const { id, tokens } = await used.pushes.userWithDevices("phone");
    await used.pushes.notify([id], ", expires_at => now() + interval '1 hour'");
    const { message } = await used.worker.emulator.phones.nextMessage(tokens[0] as string, 5000);
    const ttl = Number.parseFloat(String(message.android?.ttl));
    expect(ttl).toBeGreaterThan(3590);
    expect(ttl).toBeLessThanOrEqual(3600);
    const { headers: apns = {} } = message.apns as { headers?: Record<string, string> };
    const expiration = Number(apns["apns-expiration"]) - Date.now() / 1000;
    expect(expiration).toBeGreaterThan(3585);
    expect(expiration).toBeLessThanOrEqual(3600);
    const { headers: webpush } = message.webpush as { headers: Record<string, string> };
    expect(Number(webpush.TTL)).toBeGreaterThan(3585);
  });

  it("that is silent is data alone: nothing is shown, nothing is unread", async () => {
    const { id, tokens } = await used.pushes.userWithDevices("phone");
    const { rows } = await used.database.owner.query(
      `select id from app_private.notify(array[$1::int], 'sync', null, data => '{"since": "7"}', silent => true)`,
      [id],
    );
    const { message } = await used.worker.emulator.phones.nextMessage(tokens[0] as string, 5000);
    expect(message.notification).toBeUndefined();
    expect(message.data).toMatchObject({ since: "7", event: "sync" });
    expect(message.android).toMatchObject({ priority: "normal" });
    expect(message.android?.notification).toBeUndefined();
    expect(message.apns).toMatchObject({
      headers: { "apns-priority": "5", "apns-push-type": "background" },
      payload: { aps: { "content-available": 1 } },
    });
    const { rowCount } = await used.database.owner.query(
      "select from app_public.notification_recipients where notification_id = $1 and read_at is null",
      [rows[0].id],
    );
    expect(rowCount).toBe(0);
    await expect(
      used.database.owner.query(
        "select app_private.notify(array[$1::int], 'sync', null, 'A title', silent => true)",
        [id],
      ),
    ).rejects.toMatchObject({ code: "HWINP", column: "title" });
  });

  it("carries the recipient's unread count for the badge, where it was asked for", async () => {
    const { id, tokens } = await used.pushes.userWithDevices("phone");
    await used.pushes.settled(await used.pushes.notify([id]));
    await used.pushes.settled(await used.pushes.notify([id], ", badge => true"));
    const [first, second] = used.worker.emulator.phones.messages(tokens[0] as string);
    expect(first?.message.apns?.payload).toEqual({ aps: {} });
    expect(second?.message.apns?.payload).toEqual({ aps: { badge: 2 } });
    expect(second?.message.android?.notification).toMatchObject({ notification_count: 2 });
  });

  it("goes to a Firebase installation id as to a registration token", async () => {
    const { id } = await used.pushes.userWithDevices();
    await used.database.owner.query(
      `insert into app_public.device_tokens (user_id, token, kind, device_type)
       values ($1, 'an-installation', 'fid', 'android')`,
      [id],
    );
    await used.pushes.notify([id]);
    const { message } = await used.worker.emulator.phones.nextMessage("an-installation", 5000);
    expect(message).toMatchObject({ fid: "an-installation" });
    expect(message).not.toHaveProperty("token");
  });
});
