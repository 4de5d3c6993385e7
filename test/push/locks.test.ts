import pg from "pg";
import { describe, expect, it } from "vitest";
import { createFleet, type Fleet } from "../support/fleet.ts";
import { until } from "../support/until.ts";

/** A session of somebody else, whose transaction stays open until the end of the test. */
async function openTransaction({ database }: Fleet, ...statements: string[]) {
  const client = new pg.Client({ connectionString: database.ownerUrl });
  await client.connect();
  await client.query("begin");
  for (const statement of statements) await client.query(statement);
  return {
    rollback: () => client.query("rollback"),
    [Symbol.asyncDispose]: () => client.end(),
  };
}

describe("a transaction that holds up fan-outs", () => {
  it("holds up nobody else's pushes, and no message is repeated where the worker is told to end meanwhile", async () => {
    await using fleet = await createFleet();
    const { emulator, pushes } = fleet;
    const traveller = await fleet.userWithPhones("traveller", 1);
    const others = [
      await fleet.userWithPhones("early", 1),
      await fleet.userWithPhones("late", 1),
    ] as const;
    // Until it is over nobody knows by which zone a local time is meant.
    await using travel = await openTransaction(
      fleet,
      `update app_public.users set timezone = 'Asia/Tokyo' where id = ${traveller}`,
    );
    const local: number[] = [];
    for (const user of others) {
      local.push(await pushes.notify([user], ", send_at_local => now() at time zone 'UTC'"));
    }
    const first = await fleet.start();
    await first.prints(/a fan-out waits for a lock/);
    emulator.faults.add({ match: "campaign", respond: "ACCEPT", delay: 100 });
    const campaign = await pushes.notify([await fleet.userWithPhones("campaign", 1500)]);
    await emulator.phones.nextMessage("campaign-1", 20_000);
    expect(await fleet.end(first, "SIGTERM")).toBe(0);
    const { accepted = 0, queued = 0, ...strange } = await fleet.statuses(campaign);
    expect(strange).toEqual({});
    expect(accepted).toBeGreaterThan(0);
    expect(queued).toBeGreaterThan(0);

    const second = await fleet.start();
    expect(await fleet.settled(campaign, 30_000)).toBe("sent");
    for (let n = 1; n <= 1500; n += 1) {
      expect(emulator.phones.messages(`campaign-${n}`)).toHaveLength(1);
    }
    expect(emulator.phones.messages("early-1")).toEqual([]);
    await travel.rollback();
    for (const id of local) expect(await fleet.settled(id, 30_000)).toBe("sent");
    expect(await fleet.end(second, "SIGTERM")).toBe(0);
  });
});

describe("a transaction that has a device's row", () => {
  it("is not waited for: what became of it is written down, and the next push finds out what it was to know", async () => {
    await using fleet = await createFleet();
    const { pushes } = fleet;
    const { owner } = fleet.database;
    const gone = await pushes.userWithDevices("unregistered", "unregistered");
    await fleet.start();
    await using change = await openTransaction(
      fleet,
      `update app_public.device_tokens set updated_at = now() where user_id = ${gone.id}`,
    );
    const { deliveries } = await pushes.settled(await pushes.notify([gone.id]), 20_000);
    expect(deliveries.map(({ status }) => status)).toEqual(["dead_address", "dead_address"]);
    await change.rollback();
    await pushes.settled(await pushes.notify([gone.id]), 20_000);
    const { rows } = await owner.query(
      "select disabled_reason as reason from app_public.device_tokens where user_id = $1",
      [gone.id],
    );
    expect(rows).toEqual([{ reason: "dead_address" }, { reason: "dead_address" }]);
  });
});

describe("a transaction that has a notification's row", () => {
  it("holds up no other push, nothing is repeated where the worker ends meanwhile, and it is settled when it is over", async () => {
    await using fleet = await createFleet();
    const { pushes, emulator } = fleet;
    const first = await fleet.start();
    const phones = await pushes.userWithDevices("phone", "phone");
    // In two seconds, or it would be sent before its row is held.
    const held: number[] = [];
    for (let n = 0; n < 3; n += 1) {
      held.push(await pushes.notify([phones.id], ", unread_seconds => 2"));
    }
    await until(
      () => Promise.all(held.map((id) => fleet.statuses(id))),
      (all) => all.every(({ queued = 0 }) => queued === 2),
    );
    await using change = await openTransaction(
      fleet,
      `update app_public.notifications set title = title where id in (${held})`,
    );
    await until(
      () => Promise.all(held.map((id) => fleet.statuses(id))),
      (all) => all.every(({ accepted = 0 }) => accepted === 2),
      20_000,
    );
    const other = await pushes.userWithDevices("phone");
    await pushes.settled(await pushes.notify([other.id]), 20_000);
    expect(await fleet.end(first, "SIGTERM")).toBe(0);
    const second = await fleet.start();
    await change.rollback();
    for (const id of held) expect(await fleet.settled(id, 30_000)).toBe("sent");
    for (const token of phones.tokens) expect(emulator.phones.messages(token)).toHaveLength(3);
    expect(await fleet.end(second, "SIGTERM")).toBe(0);
  });
});

describe("a transaction that holds up a claim", () => {
  it("holds up no other, and goes on when it is over", async () => {
    await using fleet = await createFleet();
    const { pushes } = fleet;
    const sleeper = await pushes.userWithDevices("phone");
    await fleet.database.owner.query(
      `insert into app_public.quiet_hours (user_id, starts, ends)
       select id, (now() at time zone timezone)::time - interval '1 hour', (now() at time zone timezone)::time + interval '1 hour'
       from app_public.users where id = $1`,
      [sleeper.id],
    );
    await fleet.start();
    await using change = await openTransaction(
      fleet,
      `delete from app_public.quiet_hours where user_id = ${sleeper.id}`,
    );
    const other = await pushes.userWithDevices("phone");
    const held: number[] = [];
    for (let n = 0; n < 20; n += 1) held.push(await pushes.notify([sleeper.id]));
    // Nor what is in a batch with it.
    held.push(await pushes.notify([sleeper.id, other.id]));
    await fleet.emulator.phones.nextMessage(other.tokens[0] as string, 20_000);
    await pushes.settled(await pushes.notify([other.id]), 20_000);
    for (const id of held) expect((await pushes.ledger(id)).status).toBe("sending");
    await change.rollback();
    await until(
      () => Promise.all(held.map((id) => pushes.ledger(id))),
      (all) => all.every(({ deliveries }) => deliveries[0]?.error_code === "QUIET_HOURS"),
      30_000,
    );
  });
});

describe("a notification that expires while it is sent", () => {
  it("is handed over to nobody after that, and its time to live goes down meanwhile", async () => {
    await using fleet = await createFleet();
    const { emulator, pushes } = fleet;
    const PHONES = 600;
    emulator.faults.add({ match: "brief", respond: "ACCEPT", delay: 1000 });
    const user = await fleet.userWithPhones("brief", PHONES);
    await fleet.start();
    const id = await pushes.notify([user], ", expires_at => now() + interval '4 seconds'");
    expect(await fleet.settled(id, 60_000)).toBe("partial");
    const { accepted = 0, expired = 0, ...others } = await fleet.statuses(id);
    expect(others).toEqual({});
    expect(accepted).toBeGreaterThan(0);
    expect(expired).toBeGreaterThan(0);
    const lives = Array.from({ length: PHONES }, (_, n) =>
      emulator.phones.messages(`brief-${n + 1}`),
    ).flatMap((messages) =>
      messages.map((one) =>
        Number.parseFloat(String((one.message as { android: { ttl: string } }).android.ttl)),
      ),
    );
    expect(lives).toHaveLength(accepted);
    expect(Math.min(...lives)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...lives) - Math.min(...lives)).toBeGreaterThan(1);
  });
});
