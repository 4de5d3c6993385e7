import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createUser } from "../kit/actors.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const run = async (text: string, values: unknown[] = []) =>
  (await database.owner.query(text, values)).rows;

/** A notification to two users, of whom the first has a phone. */
async function notified() {
  const [seller, buyer] = [await createUser(database), await createUser(database)];
  const token = `phone-${randomUUID()}`;
  await run(
    "insert into app_public.device_tokens (user_id, token, device_type) values ($1, $2, 'ios')",
    [seller, token],
  );
  const [notification] = await run("select id from app_private.notify($1, 'e', 'm')", [
    [seller, buyer],
  ]);
  return {
    buyer,
    id: notification.id as number,
    sell: (to: number = buyer) =>
      run("update app_public.device_tokens set user_id = $1 where token = $2", [to, token]),
    fanOut: () => run("select app_private.fan_out_notification($1, 100)", [notification.id]),
    /** Claims its batch: whose deliveries are sent, and what is needed to write their outcomes. */
    async claim() {
      const [batch] = await run(
        "select id from app_private.delivery_batches where notification_id = $1",
        [notification.id],
      );
      const worker = randomUUID();
      const [claimed] = await run("select * from app_private.claim_batch($1, $2)", [
        batch.id,
        worker,
      ]);
      return {
        tokens: (claimed.deliveries ?? []).map((one: { token: string }) => one.token),
        record: (status: string) =>
          run("select * from app_private.record_batch($1, $2, $3, $4)", [
            batch.id,
            worker,
            claimed.fence,
            JSON.stringify(
              claimed.deliveries.map(({ id }: { id: number }) => ({ id, status, retry_after: 0 })),
            ),
          ]),
      };
    },
    token,
    ledger: () =>
      run(
        "select user_id, status, error_code from app_public.notification_deliveries where notification_id = $1",
        [notification.id],
      ),
  };
}

describe("a phone that changes hands between two recipients", () => {
  it("while their fan-out is still writing gets its push, for its new owner", async () => {
    const push = await notified();
    const fanOut = await database.owner.connect();
    try {
      await fanOut.query("begin");
      await fanOut.query("select app_private.fan_out_notification($1, 100)", [push.id]);
      await push.sell();
      await fanOut.query("commit");
    } finally {
      fanOut.release();
    }
    const claimed = await push.claim();
    expect(claimed.tokens).toEqual([push.token]);
    await claimed.record("accepted");
    expect(await push.ledger()).toEqual([
      { user_id: push.buyer, status: "accepted", error_code: null },
    ]);
  });

  it("while an answer of FCM is under way gets it by the next try", async () => {
    const push = await notified();
    await push.fanOut();
    const first = await push.claim();
    await push.sell();
    await first.record("retrying");
    const second = await push.claim();
    expect(second.tokens).toEqual([push.token]);
    await second.record("accepted");
    expect(await push.ledger()).toMatchObject([{ user_id: push.buyer, status: "accepted" }]);
  });

  it("gets nothing where its new owner is no recipient", async () => {
    const push = await notified();
    await push.fanOut();
    await push.sell(await createUser(database));
    expect((await push.claim()).tokens).toEqual([]);
    expect(await push.ledger()).toMatchObject([{ status: "skipped", error_code: "DEVICE_GONE" }]);
  });
});
