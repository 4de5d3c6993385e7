import { type Command, idOf, UsageError } from "../command.ts";

export const notify: Command = {
  usage: "--user ID --event NAME --message TEXT [--title TEXT] [--dry-run]",
  args: 0,
  summary: "sends a push, as sendNotification of the API does",
  details: "Nothing is sent for a mistake. What became of it: deliveries --notification ID.",
  examples: [
    'notify --user 42 --user 43 --event maintenance --message "Back at 10." --dry-run',
    'notify --audience everybody --event maintenance --message "Back at 10."',
  ],
  options: {
    user: { value: "ID", help: "whom; may be given several times", isRepeated: true },
    audience: { value: "NAME", help: "instead: a view or function of app_audiences" },
    event: { value: "NAME", help: "what happened, such as order.shipped" },
    message: { value: "TEXT", help: "what is shown" },
    title: { value: "TEXT", help: "what is shown above it" },
    "dry-run": { help: "checks everything, counts recipients and devices, sends nothing" },
  },
  async run({ database, options, progress }) {
    const { user, audience, event, message, title } = options;
    const users = (user as string[] | undefined)?.map((id) => idOf(id, "user"));
    if ((users === undefined) === (audience === undefined)) {
      throw new UsageError("Whom? --user ID, or --audience NAME.");
    }
    if (event === undefined) throw new UsageError("Which event? --event NAME.");
    if (message === undefined) throw new UsageError("Which message? --message TEXT.");
    const isDry = options["dry-run"] === true;
    progress(isDry ? "counting" : "queueing");
    const { rows } = await database.query<{
      id: number | null;
      recipients: number | null;
      devices: number | null;
    }>(
      `select notification_id as id, recipients, devices from app_public.send_notification(
         users => $1, audience => $2, event => $3, message => $4, title => $5, dry_run => $6,
         data => null, send_at => null, expires_at => null, collapse_key => null, priority => null,
         delivery => null, send_at_local => null, silent => null, badge => null, unread_seconds => null
       )`,
      [users ?? null, audience ?? null, event, message, title ?? null, isDry],
    );
    const [sent] = rows;
    return isDry
      ? {
          json: { dryRun: true, recipients: sent?.recipients, devices: sent?.devices },
          text: [
            `It would reach ${sent?.recipients} users on ${sent?.devices} devices. Nothing was sent.`,
          ],
        }
      : { json: { id: sent?.id }, text: [`Notification ${sent?.id} is queued.`] };
  },
};
