import type pg from "pg";
import { at, type Command, CommandError, idOf, userIdOf } from "../command.ts";

export const deliveries: Command = {
  usage: "--notification ID [--user USER]",
  args: 1,
  summary:
    "says why a notification did not reach a user; or shows what became of it on each device",
  details:
    "`deliveries 7` is short for --notification 7. Without --user: 1,000 deliveries at most.",
  examples: ["deliveries --notification 7 --user 42", "deliveries 7 --json"],
  options: {
    notification: { value: "ID", help: "which notification" },
    user: {
      value: "USER",
      help: "for whom, by id, e-mail address or phone number: answers in one sentence",
    },
  },
  async run({ database, args: [id], options }) {
    const notification = idOf(options.notification ?? id, "notification");
    if (options.user !== undefined) {
      const user = await userIdOf(database, options.user);
      const { rows } = await database.query<{ answer: { sentence: string } }>(
        "select to_jsonb(w) as answer from app_private.why_not_delivered($1, $2) w",
        [notification, user],
      );
      const answer = rows[0]?.answer;
      return { json: { notification, user, ...answer }, text: [answer?.sentence ?? ""] };
    }
    const { rows } = await database.query(
      `select user_id, device_token_id as device, device_type as type, status, attempts,
         error_code as error, app_private.error_message_of(d) as message, sent_at,
         next_attempt_at as next_attempt
       from app_public.notification_deliveries d where notification_id = $1 order by id limit 1000`,
      [notification],
    );
    if (rows.length === 0) throw new CommandError(await withoutDeliveries(database, notification));
    const shown = rows.map((row) => ({
      ...row,
      // Infinity in SQL: nobody tries again until an operator has decided.
      next_attempt: Number.isFinite(Number(row.next_attempt)) ? row.next_attempt : "held: breaker",
    }));
    return { json: rows, text: [shown] };
  },
};

/** Why the ledger has nothing of a notification. */
async function withoutDeliveries(database: pg.Client, id: number): Promise<string> {
  const { rows } = await database.query<{
    status: string;
    send_at: Date;
    is_due: boolean;
    is_dropped: boolean;
    fault: string | null;
  }>(
    `select n.status, n.send_at, n.send_at <= now() as is_due, n.tally is not null as is_dropped,
       left(split_part(j.last_error, e'\\n', 1), 200) as fault
     from app_public.notifications n
     left join graphile_worker.jobs j on j.key = 'fan_out_notification:' || n.id
     where n.id = $1`,
    [id],
  );
  const [found] = rows;
  if (!found) return `There is no notification ${id}.`;
  const why =
    (found.is_dropped && "its ledger was dropped with its month") ||
    (found.fault && `its job failed (${found.fault})`) ||
    (!found.is_due && found.status === "scheduled" && `it is due at ${at(found.send_at)}`) ||
    (found.status === "scheduled" && "it has not been fanned out yet") ||
    (found.status === "no_devices" && "none of its recipients had a device") ||
    `it is ${found.status}`;
  return `Notification ${id} has no deliveries: ${why}.`;
}
