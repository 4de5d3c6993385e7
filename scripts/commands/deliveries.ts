import { type Command, CommandError, idOf } from "../command.ts";
import { deliveryFacts } from "../delivery-facts.ts";
import { whyNotDelivered } from "../why-not-delivered.ts";

export const deliveries: Command = {
  usage: "--notification ID [--user ID]",
  args: 1,
  summary:
    "says why a notification did not reach a user; or shows what became of it on each device",
  details:
    "`deliveries 7` is short for --notification 7. Without --user: 1,000 deliveries at most.",
  examples: ["deliveries --notification 7 --user 42", "deliveries 7 --json"],
  options: {
    notification: { value: "ID", help: "which notification" },
    user: { value: "ID", help: "for whom: answers in one sentence" },
  },
  async run({ database, args: [id], options }) {
    const notification = idOf(options.notification ?? id, "notification");
    if (options.user !== undefined) {
      const user = idOf(options.user, "user");
      const facts = await deliveryFacts(database, notification, user);
      if (!facts) {
        const { rowCount } = await database.query(
          "select from app_public.notifications where id = $1",
          [notification],
        );
        throw new CommandError(
          rowCount ? `There is no user ${user}.` : `There is no notification ${notification}.`,
        );
      }
      const answer = whyNotDelivered(facts);
      return { json: { ...answer, ...facts }, text: [answer.sentence] };
    }
    const { rows } = await database.query(
      `select user_id, device_token_id as device, device_type as type, status, attempts,
         error_code as error, sent_at, next_attempt_at as next_attempt
       from app_public.notification_deliveries where notification_id = $1 order by id limit 1000`,
      [notification],
    );
    if (rows.length === 0)
      throw new CommandError(`Notification ${notification} has no deliveries.`);
    return { json: rows, text: [rows] };
  },
};
