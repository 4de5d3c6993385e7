import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { createFleet } from "../support/fleet.ts";

const ROUNDS = 20;
const PHONES = 2000;

it("SIGKILL of one of two workers at a random moment, 20 rounds over 2,000 devices: all final, none missing, repeats only of what was in flight", {
  timeout: 240_000,
}, async () => {
  await using fleet = await createFleet();
  const { database, emulator, pushes } = fleet;
  emulator.faults.add({ match: "kill", respond: "ACCEPT", delay: 10 });
  const survivor = await fleet.start();
  const inFlight = new Set<string>();
  const notifications: number[] = [];
  let lostBatches = 0;
  let next = fleet.start();
  for (let round = 1; round <= ROUNDS; round += 1) {
    const user = await fleet.userWithPhones(`kill-${round}`, PHONES);
    const victim = await next;
    notifications.push(await pushes.notify([user]));
    const moment = delay(Math.random() * 600);
    if (round < ROUNDS) {
      // It starts meanwhile, which takes it longer.
      next = fleet.start();
      next.catch(() => undefined);
    }
    await moment;
    await fleet.end(victim, "SIGKILL");
    const { rows } = await database.owner.query(
      `with victim as (
         -- As if it had been dead for long: its lease need not be waited for.
         update app_private.workers w set heartbeat_at = now() - interval '1 minute'
         where w.id = $1 returning w.id
       )
       select b.id, array_agg(t.token) as tokens
       from victim
       join app_private.delivery_batches b on b.worker_id = victim.id
       join app_public.notification_deliveries d on d.id = any (b.delivery_ids)
       join app_public.device_tokens t on t.id = d.device_token_id
       group by b.id`,
      [victim.id],
    );
    lostBatches += rows.length;
    for (const { tokens } of rows) for (const token of tokens) inFlight.add(token);
  }
  const killedAt = performance.now();
  for (const id of notifications) await fleet.settled(id, 60_000);
  const seconds = Math.round((performance.now() - killedAt) / 1000);

  const repeats: string[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    expect(await fleet.statuses(notifications[round - 1] as number)).toEqual({ accepted: PHONES });
    for (let n = 1; n <= PHONES; n += 1) {
      const token = `kill-${round}-${n}`;
      const { length } = emulator.phones.messages(token);
      expect(length, token).toBeGreaterThan(0);
      if (length > 1) repeats.push(token);
    }
  }
  console.log(
    `${ROUNDS} kills: ${lostBatches} batches lost, all taken up within ${seconds} s of the last kill; ` +
      `${repeats.length} of ${ROUNDS * PHONES} messages repeated.`,
  );
  expect(lostBatches).toBeGreaterThan(0);
  expect(repeats.filter((token) => !inFlight.has(token))).toEqual([]);
  expect(await fleet.end(survivor, "SIGTERM")).toBe(0);
});
