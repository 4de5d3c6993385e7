import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createUser } from "../kit/actors.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

interface Batch {
  user: number;
  notificationId: number;
  deliveryIds: number[];
  /** What became of these deliveries of it. */
  record(
    ids: number[],
    status: string,
    more?: Record<string, unknown>,
  ): Promise<{ recorded: number; alert: string | null }>;
  /** Ids of what is left of it; undefined once it is gone. */
  left(): Promise<number[] | undefined>;
  /** How many deliveries have which status. */
  statuses(): Promise<Record<string, number>>;
}

/** A batch of so many deliveries to one user, claimed: to a new one, unless their devices are there already. */
async function claimedBatch(size: number, known?: number): Promise<Batch> {
  const { owner } = database;
  const user = known ?? (await createUser(database));
  await owner.query(
    `insert into app_public.device_tokens (user_id, token, device_type)
     select $1::int, 'batch-' || $1::int || '-' || n, 'web' from generate_series(1, $2) n
     on conflict do nothing`,
    [user, size],
  );
  const notified = await owner.query("select id from app_private.notify($1, 'e', 'm')", [[user]]);
  const notificationId = notified.rows[0].id;
  await owner.query("select app_private.fan_out_notification($1, 10)", [notificationId]);
  const { rows } = await owner.query(
    "select id, delivery_ids from app_private.delivery_batches where notification_id = $1",
    [notificationId],
  );
  const worker = randomUUID();
  const claimed = await owner.query("select fence from app_private.claim_batch($1, $2)", [
    rows[0].id,
    worker,
  ]);
  return {
    user,
    notificationId,
    deliveryIds: rows[0].delivery_ids.map(Number),
    async record(ids, status, more = {}) {
      const outcomes = ids.map((id) => ({ id, status, retry_after: 60, ...more }));
      const { rows: recorded } = await owner.query(
        "select * from app_private.record_batch($1, $2, $3, $4)",
        [rows[0].id, worker, claimed.rows[0].fence, JSON.stringify(outcomes)],
      );
      return recorded[0];
    },
    async left() {
      const { rows: batches } = await owner.query(
        "select delivery_ids from app_private.delivery_batches where id = $1",
        [rows[0].id],
      );
      return batches[0]?.delivery_ids.map(Number);
    },
    async statuses() {
      const { rows: counts } = await owner.query(
        `select status, count(*)::int from app_public.notification_deliveries
         where notification_id = $1 group by status`,
        [notificationId],
      );
      return Object.fromEntries(counts.map(({ status, count }) => [status, count]));
    },
  };
}

describe("outcomes of a batch that are written in parts", () => {
  it("leave the others to the worker, and the last part ends the batch", async () => {
    const batch = await claimedBatch(5);
    const [first, second, third, ...others] = batch.deliveryIds as [number, number, number];
    expect(await batch.record([first, second], "accepted")).toEqual({ recorded: 2, alert: null });
    expect(await batch.left()).toEqual([third, ...others]);
    expect(await batch.statuses()).toEqual({ accepted: 2, sending: 3 });
    expect(await batch.record([third], "retrying")).toEqual({ recorded: 1, alert: null });
    expect(await batch.left()).toEqual(others);
    expect(await batch.record(others, "accepted")).toEqual({ recorded: 2, alert: null });
    expect(await batch.left()).toBeUndefined();
    expect(await batch.statuses()).toEqual({ accepted: 4, retrying: 1 });
  });

  it("are written once, also where the worker did not hear that they are", async () => {
    const batch = await claimedBatch(3);
    const [first, second, third] = batch.deliveryIds as [number, number, number];
    await batch.record([first], "retrying");
    // Another batch has it now; what is said of it again is old.
    await database.owner.query(
      "update app_public.notification_deliveries set status = 'sending' where id = $1",
      [first],
    );
    expect(await batch.record([first], "accepted")).toEqual({ recorded: 0, alert: null });
    expect(await batch.statuses()).toEqual({ sending: 3 });
    const { rows } = await database.owner.query(
      "select answered from app_private.delivery_batches where delivery_ids @> array[$1::bigint]",
      [second],
    );
    expect(rows).toEqual([{ answered: 1 }]);
    expect(await batch.record([second, third], "accepted")).toMatchObject({ recorded: 2 });
  });

  it("are one batch to the circuit breaker: dead ones are a share of all of it", async () => {
    const good = await claimedBatch(60);
    await good.record(good.deliveryIds.slice(11), "accepted");
    expect(await good.record(good.deliveryIds.slice(0, 11), "dead_address")).toEqual({
      recorded: 11,
      alert: null,
    });
    expect(await good.statuses()).toEqual({ accepted: 49, dead_address: 11 });
    const bad = await claimedBatch(50);
    await bad.record(bad.deliveryIds.slice(11), "accepted");
    expect(await bad.record(bad.deliveryIds.slice(0, 11), "dead_address")).toEqual({
      recorded: 11,
      alert: "circuit_breaker",
    });
  });
});

describe("a notification that is canceled", () => {
  const cancel = async (id: number) => {
    await database.owner.query("select app_public.cancel_notification($1)", [id]);
    const { rows } = await database.owner.query(
      "select status, sent_status from app_public.notifications where id = $1",
      [id],
    );
    return rows[0];
  };

  it("while its worker dies is not sent by another", async () => {
    const batch = await claimedBatch(3);
    await cancel(batch.notificationId);
    const { rows } = await database.owner.query(
      "select (app_private.claim_batch(b.id, $2)).fence from app_private.delivery_batches b where b.notification_id = $1",
      [batch.notificationId, randomUUID()],
    );
    expect(rows).toEqual([{ fence: null }]);
    expect(await batch.statuses()).toEqual({ canceled: 3 });
    expect(await batch.left()).toBeUndefined();
  });

  it("after its worker has died leaves nothing that goes on for ever", async () => {
    const batch = await claimedBatch(3);
    await database.owner.query(
      "update app_private.delivery_batches set worker_id = null where notification_id = $1",
      [batch.notificationId],
    );
    await cancel(batch.notificationId);
    expect(await batch.statuses()).toEqual({ canceled: 3 });
  });

  it("says that it was sent to some where it was", async () => {
    const batch = await claimedBatch(3);
    await batch.record(batch.deliveryIds.slice(0, 1), "accepted");
    await database.owner.query(
      "update app_private.delivery_batches set worker_id = null where notification_id = $1",
      [batch.notificationId],
    );
    expect(await cancel(batch.notificationId)).toEqual({ status: "canceled", sent_status: true });
  });
});

describe("a platform's refusal of FCM's credentials", () => {
  const REFUSED = { error_code: "THIRD_PARTY_AUTH_ERROR", pause: "platform" };
  const openPauses = async () =>
    (
      await database.owner.query(
        "select device_type, error_code, occurrences from app_public.push_pauses where ended_at is null",
      )
    ).rows;
  const endPauses = () => database.owner.query("delete from app_public.push_pauses");
  const waiting = async (user: number) =>
    (
      await database.owner.query(
        "select from app_public.device_tokens where user_id = $1 and paused_until > now()",
        [user],
      )
    ).rowCount;

  it("pauses the platform where nothing was accepted; the same device does so once, and waits alone then", async () => {
    const first = await claimedBatch(1);
    expect(await first.record(first.deliveryIds, "retrying", REFUSED)).toEqual({
      recorded: 1,
      alert: "THIRD_PARTY_AUTH_ERROR",
    });
    expect(await openPauses()).toMatchObject([
      { device_type: "web", error_code: "THIRD_PARTY_AUTH_ERROR" },
    ]);
    // Who lifts the pause has it sent at once.
    expect(await waiting(first.user)).toBe(0);
    await endPauses();
    const again = await claimedBatch(1, first.user);
    expect(await again.record(again.deliveryIds, "retrying", REFUSED)).toEqual({
      recorded: 1,
      alert: "devices: THIRD_PARTY_AUTH_ERROR",
    });
    expect(await openPauses()).toEqual([]);
    expect(await waiting(first.user)).toBe(1);
    // Another device shows that it is the platform.
    const other = await claimedBatch(1);
    await other.record(other.deliveryIds, "retrying", REFUSED);
    expect(await openPauses()).toHaveLength(1);
    await endPauses();
  });

  it("makes those devices wait alone where others of the batch were accepted", async () => {
    const batch = await claimedBatch(4);
    const [refused, ...good] = batch.deliveryIds as [number, ...number[]];
    const { owner } = database;
    const { rows } = await owner.query(
      `select id, fence, worker_id from app_private.delivery_batches where notification_id = $1`,
      [batch.notificationId],
    );
    const outcomes = [
      { id: refused, status: "retrying", retry_after: 60, ...REFUSED },
      ...good.map((id) => ({ id, status: "accepted" })),
    ];
    const recorded = await owner.query("select * from app_private.record_batch($1, $2, $3, $4)", [
      rows[0].id,
      rows[0].worker_id,
      rows[0].fence,
      JSON.stringify(outcomes),
    ]);
    expect(recorded.rows).toEqual([{ recorded: 4, alert: "devices: THIRD_PARTY_AUTH_ERROR" }]);
    expect(await openPauses()).toEqual([]);
    expect(await waiting(batch.user)).toBe(1);
  });
});

describe("a pause that outlasts the notification", () => {
  it("is a pause all the same: nothing is handed out before", async () => {
    await database.owner.query(
      "select app_private.pause_pushes('web', 'QUOTA_EXCEEDED', 1e12, 60)",
    );
    const { rows: pauses } = await database.owner.query(
      "select paused_until < now() + interval '25 hours' as is_bounded from app_public.push_pauses where ended_at is null",
    );
    expect(pauses).toEqual([{ is_bounded: true }]);
    const user = await createUser(database);
    await database.owner.query(
      "insert into app_public.device_tokens (user_id, token, device_type) values ($1, 'paused', 'web')",
      [user],
    );
    const { rows } = await database.owner.query(
      "select id from app_private.notify($1, 'e', 'm', expires_at => now() + interval '10 minutes')",
      [[user]],
    );
    await database.owner.query("select app_private.fan_out_notification($1, 10)", [rows[0].id]);
    const claimed = await database.owner.query(
      "select (app_private.claim_batch(b.id, $2)).fence from app_private.delivery_batches b where b.notification_id = $1",
      [rows[0].id, randomUUID()],
    );
    expect(claimed.rows).toEqual([{ fence: null }]);
  });
});
