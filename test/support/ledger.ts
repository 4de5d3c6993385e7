import type { TestConsole } from "./console.ts";

const OFTEN = ["good", "good", "good", "good", "good", "good", "unregistered", "good"];
const WORDS: [string, string, string][] = [
  ["order.shipped", "On its way", "Your saddle has been shipped."],
  ["order.delayed", "A day later", "The ferry is late; your parasol comes on Friday."],
  ["invoice.ready", "Your invoice", "It is in your inbox."],
  ["reply.new", "Zoë answered", "“Yes, nine rungs.”"],
];

/** Users, devices and notifications with a past, as a picture needs them. */
export async function fillLedger({ database, pushes }: TestConsole) {
  const users: number[] = [];
  for (const [index, name] of ["Ada", "Bao", "Chidi", "Dalia", "Emre", "Freya"].entries()) {
    const { id } = await pushes.userWithDevices(OFTEN[index] as string, OFTEN[index + 2] as string);
    await database.owner.query("update app_public.users set first_name = $2 where id = $1", [
      id,
      name,
    ]);
    users.push(id);
  }
  let notification = 0;
  let first = 0;
  for (const [event, title, message] of WORDS) {
    const { rows } = await database.owner.query(
      "select id from app_private.notify($1, $2, $3, $4)",
      [users, event, message, title],
    );
    notification = rows[0].id;
    first ||= notification;
    await pushes.settled(notification);
  }
  // An hour that has passed: the same outcomes, spread over it.
  await database.owner.query(
    `update app_public.notifications
     set created_at = created_at - interval '1 hour', send_at_local = send_at where id = $1`,
    [first],
  );
  await database.owner.query(
    `insert into app_public.notification_deliveries
       (month, notification_id, user_id, device_token_id, device_type, status, created_at, sent_at)
     select d.month, d.notification_id, d.user_id, 1000000 + 1000 * m + row_number() over (), d.device_type, d.status,
       now() - make_interval(mins => m), now() - make_interval(mins => m) + interval '180 ms'
     from generate_series(1, 55) m, app_public.notification_deliveries d
     where d.notification_id = $1 and random() + 0 * d.id < abs(sin(m / 9.0)) * 0.9`,
    [first],
  );
  await database.owner.query(
    `select app_private.notify($1, 'sale.begins', 'Everything is 20 % off.', 'Tomorrow at nine',
       send_at => now() + interval '1 day')`,
    [users],
  );
  return { users, notification: first + 1 };
}
