import { describe, expect, it, vi } from "vitest";
import { usePushes } from "../support/pushes.ts";
import { until } from "../support/until.ts";

// Where FCM says nothing: firebase-admin waits and tries again by itself, which takes it its time.
const used = usePushes();

it("no answer within a minute ends the batch: unknown, and tried again where at least once was asked for", async () => {
  const rule = used.worker.emulator.faults.add({ match: "silent", respond: "HANG", times: 1 });
  const { setTimeout: wait } = globalThis;
  // A minute of the worker's passes in two seconds.
  const spy = vi
    .spyOn(globalThis, "setTimeout")
    .mockImplementation(((act: () => void, milliseconds: number, ...rest: []) =>
      wait(act, milliseconds === 60_000 ? 2000 : milliseconds, ...rest)) as typeof setTimeout);
  const user = await used.pushes.userWithDevices("silent", "phone");
  const id = await used.pushes.notify([user.id]);
  await until(
    async () => rule.applied,
    (applied) => applied === 1,
  );
  spy.mockRestore();
  const { deliveries } = await until(
    () => used.pushes.ledger(id),
    ({ deliveries: [first] }) => first?.status === "retrying",
    20_000,
  );
  expect(deliveries).toMatchObject([
    { status: "retrying", error_code: "TIMEOUT", attempts: 1 },
    { status: "accepted" },
  ]);
  expect((await used.pushes.settled(id, 20_000)).deliveries).toMatchObject([
    { status: "accepted", attempts: 2 },
    { attempts: 1 },
  ]);
});

describe.concurrent("no answer", () => {
  it("by a lost connection is unknown: tried again where at least once was asked for", async () => {
    // firebase-admin itself tries a broken connection five times, which takes it some 8 seconds.
    used.worker.emulator.faults.add({ match: "cut", respond: "RESET", times: 5 });
    const user = await used.pushes.userWithDevices("cut");
    const id = await used.pushes.notify([user.id]);
    const { deliveries } = await used.pushes.settled(id, 50_000);
    expect(deliveries).toMatchObject([{ status: "accepted", attempts: 2 }]);
    expect(used.worker.emulator.phones.messages(user.tokens[0] as string)).toHaveLength(1);
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
