import type { Pool } from "pg";
import { until } from "../../test/support/until.ts";

/** States of a notification in which nothing more happens to it. */
const FINAL = ["sent", "partial", "failed", "no_devices", "canceled", "expired"];
/** How long a notification may take, milliseconds. */
const PATIENCE = 240_000;

/** Users with one phone each, `phone-1` and so on: their ids, in that order. */
export async function createPhones(owner: Pool, count: number): Promise<number[]> {
  const { rows } = await owner.query<{ ids: number[] }>(
    `with created_user as (
       insert into app_public.users (first_name, email)
       select 'Phone', 'phone-' || n || '@example.com' from generate_series(1, $1::int) as n
       returning id
     ),
     created_device as (
       insert into app_public.device_tokens (user_id, token, device_type)
       select id, 'phone-' || row_number() over (order by id), 'android' from created_user
       returning user_id
     )
     select array_agg(user_id order by user_id) as ids from created_device`,
    [count],
  );
  // As a database that has been in use: the planner knows its tables.
  await owner.query("vacuum analyze app_public.users");
  await owner.query("vacuum analyze app_public.device_tokens");
  return rows[0]?.ids as number[];
}

/** Queues a push to these users: the notification's id, once that is committed. */
export async function notify(owner: Pool, users: number[]): Promise<number> {
  const { rows } = await owner.query<{ id: number }>(
    `select id
     from app_private.notify($1, 'bench.sent', 'A message of usual length for a phone', 'Bench')`,
    [users],
  );
  return rows[0]?.id as number;
}

/** Waits until every outcome is written. */
export async function settled(owner: Pool, id: number): Promise<void> {
  await until(
    async () => {
      const { rows } = await owner.query<{ status: string }>(
        "select status from app_public.notifications where id = $1",
        [id],
      );
      return rows[0]?.status ?? "";
    },
    (status) => FINAL.includes(status),
    PATIENCE,
  );
}

/** @throws where one of its outcomes is not `accepted` */
export async function requireAccepted(owner: Pool, id: number, devices: number): Promise<void> {
  const { rows } = await owner.query<{ accepted: number }>(
    `select count(*)::int as accepted from app_public.notification_deliveries
     where notification_id = $1 and status = 'accepted' and message_id is not null`,
    [id],
  );
  if (rows[0]?.accepted !== devices) {
    throw new Error(`${rows[0]?.accepted} of ${devices} pushes were accepted.`);
  }
}

/** The emulator over its control interface. */
export function createEmulatorClient(host: string) {
  async function ask<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await fetch(`http://${host}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`The emulator answers ${response.status} to ${path}.`);
    return (await response.json()) as T;
  }
  return {
    /** Messages that a phone holds, with the emulator's time of receipt. */
    messages: async (token: string) =>
      (await ask<{ messages: { receivedAt: string }[] }>("GET", `/phones/${token}`)).messages,
    /** How many messages each phone holds. */
    phones: async () =>
      (await ask<{ phones: { token: string; messages: number }[] }>("GET", "/phones")).phones,
    forget: () => ask("DELETE", "/phones"),
    /** From now on no message is answered. */
    hang: () => ask("POST", "/faults", { match: "*", respond: "HANG" }),
  };
}
