import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const PHONES = 3000;

let database: TestDatabase;
let client: pg.Client;
let users: number[];

beforeAll(async () => {
  database = await createTestDatabase();
  // One connection, as plans are kept for each.
  client = new pg.Client({ connectionString: database.ownerUrl });
  await client.connect();
  const { rows } = await client.query(
    `insert into app_public.users (first_name, email)
     select 'P', 'plans-' || n || '@example.com' from generate_series(1, $1::int) n returning id`,
    [PHONES],
  );
  users = rows.map(({ id }) => id);
  await client.query(
    `insert into app_public.device_tokens (user_id, token, device_type)
     select id, 'plans-' || id, 'web' from unnest($1::int[]) id`,
    [users],
  );
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

/** From fan-out to the last outcome. */
async function push(notificationId: number): Promise<void> {
  let hasMore = true;
  while (hasMore) {
    const { rows } = await client.query(
      "select * from app_private.fan_out_notification($1, 1000)",
      [notificationId],
    );
    hasMore = rows[0].has_more;
  }
  const worker = randomUUID();
  const batches = await client.query(
    "select id from app_private.delivery_batches where notification_id = $1 order by id",
    [notificationId],
  );
  for (const { id } of batches.rows) {
    const { rows } = await client.query("select * from app_private.claim_batch($1, $2)", [
      id,
      worker,
    ]);
    const outcomes = rows[0].deliveries.map((delivery: { id: number }) => ({
      id: delivery.id,
      status: "accepted",
      message_id: `message ${delivery.id}`,
    }));
    await client.query("select * from app_private.record_batch($1, $2, $3, $4)", [
      id,
      worker,
      rows[0].fence,
      JSON.stringify(outcomes),
    ]);
  }
}

async function notify(to: number[]): Promise<number> {
  const { rows } = await client.query("select id from app_private.notify($1, 'e', 'm')", [to]);
  return rows[0].id;
}

/** How often each table that a push reads was read from end to end, by this connection. */
async function endToEnd(): Promise<Record<string, number>> {
  await client.query("select pg_stat_force_next_flush()");
  const { rows } = await client.query(
    `select relname, seq_scan::int from pg_stat_user_tables
     where relname ~ '^(notification_deliveries|notification_recipients|device_tokens|users|notifications)'`,
  );
  return Object.fromEntries(rows.map(({ relname, seq_scan }) => [relname, seq_scan]));
}

it("looks up by index alone, for one phone as for thousands, whatever the plan was made for", async () => {
  // The first plans are of a ledger that is all but empty.
  await push(await notify(users.slice(0, 1)));
  await push(await notify(users));
  await client.query("analyze");
  const ids = [
    await notify(users),
    await notify(users.slice(5, 6)),
    await notify(users.slice(7, 9)),
  ];
  const before = await endToEnd();
  for (const id of ids) await push(id);
  expect(await endToEnd()).toEqual(before);
  const { rows } = await client.query(
    "select status, count(*)::int from app_public.notification_deliveries group by status",
  );
  expect(rows).toEqual([{ status: "accepted", count: 2 * PHONES + 4 }]);
});
