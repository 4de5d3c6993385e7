import { describe, expect, it } from "vitest";
import { createFleet } from "../support/fleet.ts";
import { until } from "../support/until.ts";

describe("SIGTERM", () => {
  it("in mid-batch repeats no message and loses none: what was not handed to FCM goes back", async () => {
    await using fleet = await createFleet();
    const { emulator, pushes } = fleet;
    emulator.faults.add({ match: "term", respond: "ACCEPT", delay: 100 });
    const first = await fleet.start();
    const user = await fleet.userWithPhones("term", 1500);
    const id = await pushes.notify([user]);
    await emulator.phones.nextMessage("term-1", 20_000);
    expect(await fleet.end(first, "SIGTERM")).toBe(0);
    const { accepted = 0, queued = 0, ...others } = await fleet.statuses(id);
    expect(others).toEqual({});
    expect(accepted).toBeGreaterThan(0);
    expect(queued).toBeGreaterThan(0);
    expect(await fleet.workerIds()).toEqual([]);

    const second = await fleet.start();
    await until(
      () => fleet.statuses(id),
      ({ accepted: all = 0 }) => all === 1500,
      30_000,
    );
    for (let n = 1; n <= 1500; n += 1) {
      expect(emulator.phones.messages(`term-${n}`)).toHaveLength(1);
    }
    expect(await fleet.end(second, "SIGTERM")).toBe(0);
  });

  it("while an audience is looked up ends at once, and another worker goes on with it", async () => {
    await using fleet = await createFleet();
    const { owner } = fleet.database;
    const user = await fleet.userWithPhones("audience", 1);
    await owner.query("create table app_private.test_slowness as select 60 as seconds");
    await owner.query(
      `create function app_audiences.slow() returns setof int language sql volatile as $$
         select ${user} from app_private.test_slowness, pg_sleep(seconds) $$`,
    );
    const worker = await fleet.start();
    const { rows } = await owner.query(
      "select id from app_private.notify(null, 'e', 'm', audience => 'slow')",
    );
    await until(
      async () =>
        (
          await owner.query(
            "select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()",
          )
        ).rowCount,
      (sleeping) => sleeping === 1,
    );
    // Not 1, as when time is up.
    expect(await fleet.end(worker, "SIGTERM")).toBe(0);
    await owner.query("update app_private.test_slowness set seconds = 0");
    const heir = await fleet.start();
    await until(
      () => fleet.statuses(rows[0].id),
      ({ accepted = 0 }) => accepted === 1,
    );
    expect(await fleet.end(heir, "SIGTERM")).toBe(0);
  });

  it("while FCM hangs ends within SHUTDOWN_SECONDS, and writes down what nobody knows", async () => {
    await using fleet = await createFleet();
    const worker = await fleet.start({ SHUTDOWN_SECONDS: "4" });
    const user = await fleet.userWithPhones("hang", 3);
    const id = await fleet.pushes.notify([user], ", delivery => 'at_most_once'");
    await until(
      () => fleet.statuses(id),
      ({ sending = 0 }) => sending === 3,
    );
    // Not 1, as when time is up.
    expect(await fleet.end(worker, "SIGTERM")).toBe(0);
    expect(await fleet.statuses(id)).toEqual({ unknown: 3 });
  });
});
