import type pg from "pg";
import { type Command, idOf, UsageError, userIdOf } from "../command.ts";

type Options = Parameters<Command["run"]>[0]["options"];

export const notify: Command = {
  usage: "--user USER --event NAME --message TEXT [--title TEXT] [--dry-run]",
  args: 0,
  summary: "sends a push, as sendNotification of the API does",
  details: "Nothing is sent for a mistake. What became of it: deliveries --notification ID.",
  examples: [
    'notify --user 42 --user 43 --event maintenance --message "Back at 10." --dry-run',
    'notify --user 42 --event order.shipped --message "On its way" --data order=7 --expires-at 2027-01-01T00:00:00Z',
  ],
  options: {
    user: {
      value: "USER",
      help: "whom, by id, e-mail address or phone number; may be given several times",
      isRepeated: true,
    },
    audience: { value: "NAME", help: "instead: a view or function of app_audiences" },
    event: { value: "NAME", help: "what happened, such as order.shipped" },
    message: { value: "TEXT", help: "what is shown" },
    title: { value: "TEXT", help: "what is shown above it" },
    data: { value: "KEY=TEXT", help: "for the app; may be given several times", isRepeated: true },
    "send-at": { value: "TIME", help: "not before, such as 2027-01-01T09:00:00Z" },
    "send-at-local": { value: "TIME", help: "instead, by each recipient's clock: without a zone" },
    "expires-at": { value: "TIME", help: "not after; four weeks after it is sent at most" },
    priority: { value: "NAME", help: "high or normal" },
    delivery: { value: "NAME", help: "at_least_once or at_most_once" },
    "collapse-key": { value: "TEXT", help: "replaces what has the same and has not arrived" },
    silent: { help: "data for the app alone" },
    badge: { help: "with the recipient's count of unread" },
    "unread-seconds": { value: "N", help: "only if it is still unread then" },
    "dry-run": { help: "checks everything, counts recipients and devices, sends nothing" },
  },
  async run({ database, options, progress }) {
    const values = argumentsOf(options);
    values[0] = await usersOf(database, options.user);
    const isDry = options["dry-run"] === true;
    progress(isDry ? "counting" : "queueing");
    const { rows } = await database.query<{
      id: number | null;
      recipients: number | null;
      devices: number | null;
    }>(
      `select notification_id as id, recipients, devices from app_public.send_notification(
         users => $1, audience => $2, event => $3, message => $4, title => $5, data => $6,
         send_at => $7, send_at_local => $8, expires_at => $9, priority => $10, delivery => $11,
         collapse_key => $12, silent => $13, badge => $14, unread_seconds => $15, dry_run => $16
       )`,
      [...values, isDry],
    );
    const [sent] = rows;
    return isDry
      ? {
          json: { dryRun: true, recipients: sent?.recipients, devices: sent?.devices },
          text: [
            `It would reach ${counted(sent?.recipients, "user")} on ${counted(sent?.devices, "device")}. Nothing was sent.`,
          ],
        }
      : { json: { id: sent?.id }, text: [`Notification ${sent?.id} is queued.`] };
  },
};

export const cancel: Command = {
  usage: "NOTIFICATION_ID",
  args: 1,
  summary: "stops what of a notification has not been handed to FCM yet",
  async run({ database, args: [id] }) {
    const notification = idOf(id, "notification");
    await database.query("select app_public.cancel_notification($1)", [notification]);
    return {
      json: { id: notification, canceled: true },
      text: [`Notification ${id} is canceled.`],
    };
  },
};

async function usersOf(database: pg.Client, users: unknown): Promise<number[] | null> {
  if (users === undefined) return null;
  const ids: number[] = [];
  for (const user of users as string[]) ids.push(await userIdOf(database, user));
  return ids;
}

/** In the order of the statement; the users are looked up besides. */
function argumentsOf(options: Options): unknown[] {
  const { user, audience, event, message, title, priority, delivery, silent, badge } = options;
  if ((user === undefined) === (audience === undefined)) {
    throw new UsageError("Whom? --user USER, or --audience NAME.");
  }
  if (event === undefined) throw new UsageError("Which event? --event NAME.");
  if (message === undefined && silent !== true) {
    throw new UsageError("Which message? --message TEXT.");
  }
  if (/(Z|[+-]\d\d(:?\d\d)?)$/i.test(String(options["send-at-local"] ?? ""))) {
    throw new UsageError("--send-at-local has no zone: it is each recipient's own clock.");
  }
  return [
    null,
    audience ?? null,
    event,
    message ?? null,
    title ?? null,
    dataOf(options.data as string[] | undefined),
    time(options, "send-at"),
    time(options, "send-at-local"),
    time(options, "expires-at"),
    oneOf("priority", priority, ["high", "normal"]),
    oneOf("delivery", delivery, ["at_least_once", "at_most_once"]),
    options["collapse-key"] ?? null,
    silent ?? null,
    badge ?? null,
    seconds(options["unread-seconds"]),
  ];
}

function dataOf(pairs: string[] | undefined): string | null {
  if (pairs === undefined) return null;
  const entries = pairs.map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw new UsageError("Which data? --data KEY=TEXT.");
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return JSON.stringify(Object.fromEntries(entries));
}

function time(options: Options, name: string): string | null {
  const text = options[name];
  if (text === undefined) return null;
  if (
    typeof text !== "string" ||
    !/^\d{4}-\d\d-\d\d/.test(text) ||
    Number.isNaN(Date.parse(text))
  ) {
    throw new UsageError(
      `When? --${name} is written like 2027-01-01T09:00:00${name.endsWith("local") ? "" : "Z"}.`,
    );
  }
  return text;
}

function oneOf(name: string, value: unknown, known: string[]): unknown {
  if (value === undefined) return null;
  if (!known.includes(String(value))) {
    throw new UsageError(`Which ${name}? --${name} ${known.join(" or ")}.`);
  }
  return value;
}

function seconds(text: unknown): number | null {
  if (text === undefined) return null;
  if (!/^\d{1,7}$/.test(String(text))) {
    throw new UsageError("For how long? --unread-seconds takes 1 to 2419200.");
  }
  return Number(text);
}

function counted(count: number | null | undefined, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
