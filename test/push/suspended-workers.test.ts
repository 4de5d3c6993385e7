import { describe, expect, it } from "vitest";
import { LANES, SLOW_MESSAGES } from "../../src/push/lanes.ts";
import { createFleet } from "../support/fleet.ts";
import { until } from "../support/until.ts";

// Both wait for a lease to end, each in a database of its own.
describe.concurrent("a worker that misses its heartbeats", () => {
  it("killed: of what was asked for at most once the few that it was handing over are unknown, and the rest is sent", {
    timeout: 120_000,
  }, async () => {
    await using fleet = await createFleet();
    const { emulator, pushes } = fleet;
    emulator.faults.add({ match: "once", respond: "ACCEPT", delay: 2000 });
    const victim = await fleet.start();
    const user = await fleet.userWithPhones("once", 700);
    const id = await pushes.notify([user], ", delivery => 'at_most_once'");
    // Of two batches the shorter one goes first, if both are there.
    await Promise.any([
      emulator.phones.nextMessage("once-1", 20_000),
      emulator.phones.nextMessage("once-501", 20_000),
    ]);
    await fleet.end(victim, "SIGKILL");
    emulator.faults.clear();
    const heir = await fleet.start();
    await fleet.settled(id, 60_000);
    const { unknown = 0, accepted = 0 } = await fleet.statuses(id);
    expect(unknown + accepted).toBe(700);
    expect(unknown).toBeGreaterThan(0);
    // What FCM may have got, and 32 of each batch that it was about to.
    expect(unknown).toBeLessThanOrEqual(LANES + SLOW_MESSAGES + 64);
    for (let n = 1; n <= 700; n += 1) {
      expect(emulator.phones.messages(`once-${n}`).length).toBeLessThan(2);
    }
    expect(await fleet.end(heir, "SIGTERM")).toBe(0);
  });

  it("suspended in mid-batch: another one has its batch, and when it wakes it sends no more of it", {
    timeout: 120_000,
  }, async () => {
    await using fleet = await createFleet();
    const { emulator, pushes } = fleet;
    emulator.faults.add({ match: "stop", respond: "ACCEPT", delay: 200 });
    const sleeper = await fleet.start();
    const user = await fleet.userWithPhones("stop", 500);
    const id = await pushes.notify([user]);
    await emulator.phones.nextMessage("stop-1", 20_000);
    sleeper.child.kill("SIGSTOP");
    const heir = await fleet.start();
    await until(
      () => fleet.statuses(id),
      ({ accepted = 0 }) => accepted === 500,
      60_000,
    );
    const received = () =>
      Array.from({ length: 500 }, (_, n) => emulator.phones.messages(`stop-${n + 1}`).length);
    const before = received();
    sleeper.child.kill("SIGCONT");
    // Awake: its heartbeat is back.
    await until(
      async () => (await fleet.workerIds()).length,
      (alive) => alive === 2,
      20_000,
    );
    expect(await fleet.end(sleeper, "SIGTERM")).toBe(0);
    // Each of its connections may have had one message under way.
    const after = received();
    const more = after.filter((count, n) => count > (before[n] as number)).length;
    expect(more).toBeLessThanOrEqual(LANES + SLOW_MESSAGES);
    expect(Math.max(...after)).toBeLessThanOrEqual(3);
    expect(await fleet.statuses(id)).toEqual({ accepted: 500 });
    expect(await fleet.end(heir, "SIGTERM")).toBe(0);
  });
});
