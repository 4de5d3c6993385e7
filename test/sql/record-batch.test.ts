import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { as, createUser } from "../kit/actors.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

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

/** A batch of so many deliveries to one user, claimed. */
async function claimedBatch(size: number): Promise<Batch> {
  const { owner } = database;
  const user = await createUser(database);
  await owner.query(
    `insert into app_public.device_tokens (user_id, token, device_type)
     select $1::int, 'batch-' || $1::int || '-' || n, 'web' from generate_series(1, $2) n`,
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
    expect(await batch.record([first, second], "accepted")).toMatchObject({
      recorded: 2,
      alert: null,
    });
    expect(await batch.left()).toEqual([third, ...others]);
    expect(await batch.statuses()).toEqual({ accepted: 2, sending: 3 });
    expect(await batch.record([third], "retrying")).toMatchObject({ recorded: 1, alert: null });
    expect(await batch.left()).toEqual(others);
    expect(await batch.record(others, "accepted")).toMatchObject({ recorded: 2, alert: null });
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
    expect(await batch.record([first], "accepted")).toMatchObject({ recorded: 0, alert: null });
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
    expect(await good.record(good.deliveryIds.slice(0, 11), "dead_address")).toMatchObject({
      recorded: 11,
      alert: null,
    });
    expect(await good.statuses()).toEqual({ accepted: 49, dead_address: 11 });
    const bad = await claimedBatch(50);
    await bad.record(bad.deliveryIds.slice(11), "accepted");
    expect(await bad.record(bad.deliveryIds.slice(0, 11), "dead_address")).toMatchObject({
      recorded: 11,
      alert: "circuit_breaker",
    });
  });
});

describe("an acknowledgement that comes before the outcome", () => {
  const name = "projects/p/messages/1";
  const acknowledge = (user: number, id: string, opened = false) =>
    as(
      database,
      { user },
      async (client) =>
        (await client.query("select * from app_public.acknowledge_delivery($1, $2)", [id, opened]))
          .rows[0].status,
      { commit: true },
    );

  it("is kept, by its full name or the last part of it, and applied once the name is known", async () => {
    for (const said of [name, "1"]) {
      const batch = await claimedBatch(1);
      expect(await acknowledge(batch.user, said)).toBeNull();
      expect(await acknowledge(batch.user, said, true)).toBeNull();
      expect(await acknowledge(batch.user, "another")).toBeNull();
      await database.owner.query("select app_private.apply_acknowledgements()");
      expect(await batch.statuses()).toEqual({ sending: 1 });
      await batch.record(batch.deliveryIds, "accepted", { message_id: name });
      await database.owner.query("select app_private.apply_acknowledgements()");
      expect(await batch.statuses()).toEqual({ acknowledged: 1 });
      const { rows } = await database.owner.query(
        `select read_at is not null as is_read from app_public.notification_recipients where user_id = $1
         union all select null from app_private.early_acknowledgements where user_id = $1 and message_id <> 'another'`,
        [batch.user],
      );
      expect(rows).toEqual([{ is_read: true }]);
    }
  });

  it("tells nothing of what others get, and is kept of nobody who gets nothing, nor without end", async () => {
    const batch = await claimedBatch(1);
    const stranger = await createUser(database);
    await expect(acknowledge(stranger, name)).rejects.toMatchObject({ code: "HWNFD" });
    for (let n = 0; n < 100; n += 1) await acknowledge(batch.user, `m${n}`);
    await expect(acknowledge(batch.user, "one too many")).rejects.toMatchObject({ code: "HWNFD" });
    await database.owner.query(
      "update app_private.early_acknowledgements set created_at = now() - interval '11 minutes'",
    );
    await database.owner.query("select app_private.apply_acknowledgements()");
    const { rowCount } = await database.owner.query(
      "select from app_private.early_acknowledgements",
    );
    expect(rowCount).toBe(0);
  });
});

describe("a 429 in nobody's words", () => {
  it("pauses everything, also where others of the batch were accepted", async () => {
    const { owner } = database;
    const batch = await claimedBatch(2);
    const [one, two] = batch.deliveryIds;
    await owner.query(
      `select app_private.record_batch(b.id, b.worker_id, b.fence, $2)
       from app_private.delivery_batches b where b.notification_id = $1`,
      [
        batch.notificationId,
        JSON.stringify([
          { id: one, status: "accepted" },
          {
            id: two,
            status: "retrying",
            error_code: "HTTP_429",
            retry_after: 500,
            pause: "project",
          },
        ]),
      ],
    );
    const { rows } = await owner.query(
      `delete from app_public.push_pauses returning device_type, error_code,
         paused_until > now() + interval '490 seconds' as is_long`,
    );
    expect(rows).toEqual([{ device_type: null, error_code: "HTTP_429", is_long: true }]);
  });
});

describe("a worker that missed its heartbeats", () => {
  const beat = (id: string) =>
    database.owner.query("select app_private.heartbeat($1, '{}', '{}')", [id]);
  const silent = (id: string, seconds: number) =>
    database.owner.query(
      "update app_private.workers set heartbeat_at = now() - make_interval(secs => $2) where id = $1",
      [id, seconds],
    );
  async function isAlive(id: string): Promise<boolean> {
    const { rows } = await database.owner.query(
      `select app_private.is_alive(w) as alive from app_private.workers w where w.id = $1`,
      [id],
    );
    return rows[0].alive;
  }

  it("is given time where all did, and the first is back; and is dead where the others did not", async () => {
    // Time in which PostgreSQL was away does not count, and that of a test run may have begun just now.
    await until(
      async () =>
        (
          await database.owner.query(
            "select pg_postmaster_start_time() < now() - interval '20 seconds' as is_up",
          )
        ).rows[0].is_up,
      (isUp) => isUp,
    );
    const [first, second] = [randomUUID(), randomUUID()];
    for (const id of [first, second]) await beat(id);
    for (const id of [first, second]) await silent(id, 135);
    expect(await isAlive(second)).toBe(false);
    await beat(first);
    expect(await isAlive(second)).toBe(true);
    // It had died before PostgreSQL was away.
    await silent(second, 200);
    expect(await isAlive(second)).toBe(false);
    await silent(second, 135);
    await database.owner.query(
      "update app_private.workers set returned_at = now() - interval '21 seconds' where id = $1",
      [first],
    );
    expect(await isAlive(second)).toBe(false);
    await database.owner.query("delete from app_private.workers");
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
  const waiting = async (user: number) =>
    (
      await database.owner.query(
        "select from app_public.device_tokens where user_id = $1 and paused_until > now()",
        [user],
      )
    ).rowCount;

  it("to one user makes their devices wait alone: what they are is what their app says", async () => {
    const batch = await claimedBatch(2);
    expect(await batch.record(batch.deliveryIds, "retrying", REFUSED)).toMatchObject({
      recorded: 2,
      alert: "devices: THIRD_PARTY_AUTH_ERROR",
    });
    expect(await openPauses()).toEqual([]);
    expect(await waiting(batch.user)).toBe(2);
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
    expect(recorded.rows).toMatchObject([
      { recorded: 4, alert: "devices: THIRD_PARTY_AUTH_ERROR" },
    ]);
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
