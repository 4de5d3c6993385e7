import { describe, expect, it } from "vitest";
import { usePushes } from "../support/pushes.ts";
import { until } from "../support/until.ts";

// Where FCM says nothing: firebase-admin hangs up after 15 seconds.
const used = usePushes();

describe.concurrent("no answer", () => {
  it("by a lost connection is unknown: tried again where at least once was asked for", async () => {
    used.worker.emulator.faults.add({ match: "cut", respond: "RESET", times: 2 });
    const user = await used.pushes.userWithDevices("cut");
    const id = await used.pushes.notify([user.id]);
    const { deliveries } = await used.pushes.settled(id, 20_000);
    // Each request is an attempt: the SDK's own repetitions would be none.
    expect(deliveries).toMatchObject([{ status: "accepted", attempts: 3 }]);
    expect(used.worker.emulator.phones.messages(user.tokens[0] as string)).toHaveLength(1);
  });

  it("to four notifications that were first holds nobody back, and they go on", async () => {
    const rule = used.worker.emulator.faults.add({ match: "mum", respond: "HANG", times: 4 });
    const hanging: number[] = [];
    for (let n = 1; n <= 4; n += 1) {
      const { id } = await used.pushes.userWithDevices("mum");
      hanging.push(await used.pushes.notify([id]));
    }
    await until(
      async () => rule.applied,
      (applied) => applied === 4,
    );
    const healthy = await used.pushes.userWithDevices("phone");
    await used.pushes.settled(await used.pushes.notify([healthy.id]));
    // They are waited for all that time, and nobody else sends them.
    for (const id of hanging) {
      expect((await used.pushes.ledger(id)).deliveries).toMatchObject([
        { status: "sending", attempts: 1 },
      ]);
    }
    for (const id of hanging) {
      const { deliveries } = await used.pushes.settled(id, 30_000);
      expect(deliveries).toMatchObject([{ status: "accepted", attempts: 2 }]);
    }
  });

  it("is unknown and final where at most once was asked for, as soon as the SDK gives up once", async () => {
    used.worker.emulator.faults.add({ match: "mute", respond: "HANG" });
    const user = await used.pushes.userWithDevices("mute", "phone");
    const id = await used.pushes.notify([user.id], ", delivery => 'at_most_once'");
    const { status, deliveries } = await used.pushes.settled(id, 50_000);
    expect(status).toBe("partial");
    expect(deliveries).toMatchObject([
      { status: "unknown", error_code: "app/network-error", attempts: 1 },
      { status: "accepted" },
    ]);
  });

  it("to one message holds back neither the outcomes of its batch nor a later notification", async () => {
    const user = await used.pushes.userWithDevices(
      "hang",
      ...Array.from({ length: 100 }, () => "phone"),
    );
    const id = await used.pushes.notify([user.id]);
    const { deliveries } = await until(
      () => used.pushes.ledger(id),
      ({ deliveries }) => deliveries.filter(({ status }) => status === "accepted").length === 100,
      20_000,
    );
    expect(deliveries[0]).toMatchObject({ status: "sending", attempts: 1 });
    const other = await used.pushes.userWithDevices("phone");
    const later = await used.pushes.settled(await used.pushes.notify([other.id]), 20_000);
    expect(later.status).toBe("sent");
    expect((await used.pushes.ledger(id)).deliveries[0]?.status).toBe("sending");
  });

  it.each(["RESET_AFTER", "HTML"] as const)(
    "by a connection that breaks after the message has arrived (%s): with AT_MOST_ONCE the phone has it once",
    async (respond) => {
      const prefix = `once${respond.length}`;
      used.worker.emulator.faults.add({ match: prefix, respond, times: 1 });
      const user = await used.pushes.userWithDevices(prefix);
      const id = await used.pushes.notify([user.id], ", delivery => 'at_most_once'");
      const { deliveries } = await used.pushes.settled(id, 50_000);
      const received = used.worker.emulator.phones.messages(user.tokens[0] as string);
      expect(received).toHaveLength(1);
      expect(deliveries[0]?.status).toBe(respond === "RESET_AFTER" ? "unknown" : "accepted");
    },
  );
});
