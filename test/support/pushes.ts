import { afterAll, beforeAll } from "vitest";
import { createUser } from "../kit/actors.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { until } from "./until.ts";
import { startTestWorker, type TestWorker } from "./worker.ts";

/** What the ledger says of a notification. */
export interface Ledger {
  status: string;
  sentStatus: boolean;
  deliveries: { token: string; status: string; attempts: number; error_code: string | null }[];
}

export const FINAL = ["sent", "partial", "failed", "no_devices", "canceled", "expired"];

/**
 * A database with a worker of its own for a test file; to be called at its top, and to be read once
 * the tests run.
 */
export function usePushes() {
  const used = {} as {
    database: TestDatabase;
    worker: TestWorker;
    pushes: ReturnType<typeof createPushes>;
  };
  beforeAll(async () => {
    used.database = await createTestDatabase();
    used.worker = await startTestWorker(used.database);
    used.pushes = createPushes(used.database);
  });
  afterAll(async () => {
    await used.worker.stop();
    await used.database.drop();
  });
  return used;
}

/** Users with devices, notifications to them, and a look at the ledger, in one database. */
export function createPushes(database: TestDatabase) {
  let counter = 0;

  /** A user with one device for each of these token prefixes. */
  async function userWithDevices(...prefixes: string[]): Promise<{ id: number; tokens: string[] }> {
    const id = await createUser(database);
    const tokens = prefixes.map((prefix) => {
      counter += 1;
      return `${prefix}-${counter}`;
    });
    for (const token of tokens) {
      await database.owner.query(
        "insert into app_public.device_tokens (user_id, token, device_type) values ($1, $2, 'android')",
        [id, token],
      );
    }
    return { id, tokens };
  }

  async function notify(users: number[], more = ""): Promise<number> {
    const { rows } = await database.owner.query(
      `select id from app_private.notify($1, 'test.event', 'A message', 'A title'${more})`,
      [users],
    );
    return rows[0].id;
  }

  async function ledger(notificationId: number): Promise<Ledger> {
    const { rows } = await database.owner.query(
      `select n.status, n.sent_status,
         (select coalesce(jsonb_agg(jsonb_build_object('token', t.token, 'status', d.status,
             'attempts', d.attempts, 'error_code', d.error_code, 'message_id', d.message_id) order by d.id), '[]')
          from app_public.notification_deliveries d
          join app_public.device_tokens t on t.id = d.device_token_id
          where d.notification_id = n.id) as deliveries
       from app_public.notifications n where n.id = $1`,
      [notificationId],
    );
    const { status, sent_status, deliveries } = rows[0];
    return { status, sentStatus: sent_status, deliveries };
  }

  /** The ledger once the notification is finished. */
  const settled = (id: number, timeout?: number) =>
    until(
      () => ledger(id),
      ({ status }) => FINAL.includes(status),
      timeout,
    );

  return { userWithDevices, notify, ledger, settled };
}
