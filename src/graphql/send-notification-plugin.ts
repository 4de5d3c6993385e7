import { withPgClientTransaction } from "postgraphile/@dataplan/pg";
import { access, object } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import { ApiError } from "../errors.ts";

/**
 * `sendNotification`: a typed input around app_public.send_notification, whose payload has either the
 * notification or, of a dry run, what it would have reached.
 */
export const SendNotificationPlugin = extendSchema((build) => {
  const { notifications } = build.pgResources;
  if (!notifications) throw new Error("The table notifications is missing: run `npm run migrate`.");
  const { executor } = notifications;
  return {
    typeDefs: gql`
      input SendNotificationInput {
        clientMutationId: String
        """Ids of the recipients."""
        users: [Int]
        """Instead of users: a view or function of the schema app_audiences."""
        audience: String
        """Needed: what happened, such as order.shipped, lower-case letters, digits and . _ : -, at most 100."""
        event: String
        """The text of the push; not needed where it is silent."""
        message: String
        title: String
        """Key-value pairs for the app: a JSON object whose values are strings."""
        data: JSON
        """Not before; with a zone, or else UTC: 2026-12-24T09:00:00+01:00. Now where left out, a year ahead at most."""
        sendAt: Datetime
        """Not before this time by each recipient's own clock, without a zone: 2026-12-24T09:00:00."""
        sendAtLocal: Datetime
        """Not after; four weeks after it is sent where left out, which is the most."""
        expiresAt: Datetime
        """A later push with the same key replaces an undelivered earlier one; 1 to 64 bytes."""
        collapseKey: String
        priority: NotificationPriority
        delivery: DeliveryGuarantee
        """Data for the app alone: nothing is shown, and it counts as read."""
        silent: Boolean
        """With the recipient's count of unread notifications, for the app's badge."""
        badge: Boolean
        """Pushed only if it is still unread so many seconds after it has come into the inbox: 1 to 2,419,200 (four weeks)."""
        unreadSeconds: Int
        """Checks everything and counts, and sends nothing."""
        dryRun: Boolean
      }
      """Whom a dry run would have reached."""
      type NotificationReach {
        recipients: Int!
        """Devices that are not disabled."""
        devices: Int!
      }
      type SendNotificationPayload {
        clientMutationId: String
        """Null for a dry run."""
        notification: Notification
        """Of a dry run."""
        reach: NotificationReach
      }
      extend type Mutation {
        """Sends a push; for operators. The answer comes at once, the deliveries follow in the ledger."""
        sendNotification(input: SendNotificationInput!): SendNotificationPayload
      }
    `,
    objects: {
      Mutation: {
        plans: {
          sendNotification(_$root, args) {
            const $input = args.getRaw("input");
            const $sent = withPgClientTransaction(
              executor,
              $input,
              async (client, input: Input) => {
                const { rows } = await client.query<Sent>({
                  text: `select notification_id, recipients, devices from app_public.send_notification(
                  ${ARGUMENTS.map(([name, , type], i) => `${name} => $${i + 1}::${type}`).join(", ")}
                )`,
                  values: ARGUMENTS.map(([, field, type]) => inSql(field, input[field], type)),
                });
                const [sent] = rows;
                return {
                  id: sent?.notification_id,
                  reach: sent?.recipients == null ? null : sent,
                };
              },
            );
            return object({
              clientMutationId: access($input, "clientMutationId"),
              id: access($sent, "id"),
              reach: access($sent, "reach"),
            });
          },
        },
      },
      SendNotificationPayload: {
        scope: { isMutationPayload: true },
        plans: {
          notification: ($payload) => notifications.get({ id: access($payload, "id") }),
        },
      },
    },
  };
});

type Input = Record<string, unknown>;

interface Sent {
  notification_id: number | null;
  recipients: number | null;
  devices: number | null;
}

/** Argument of the function, field of the input, PostgreSQL's type. */
const ARGUMENTS = [
  ["users", "users", "int[]"],
  ["event", "event", "text"],
  ["message", "message", "text"],
  ["title", "title", "text"],
  ["data", "data", "jsonb"],
  ["send_at", "sendAt", "timestamptz"],
  ["expires_at", "expiresAt", "timestamptz"],
  ["collapse_key", "collapseKey", "text"],
  ["priority", "priority", "app_public.notification_priority"],
  ["delivery", "delivery", "app_public.delivery_guarantee"],
  ["send_at_local", "sendAtLocal", "timestamp"],
  ["audience", "audience", "text"],
  ["silent", "silent", "boolean"],
  ["badge", "badge", "boolean"],
  ["unread_seconds", "unreadSeconds", "int"],
  ["dry_run", "dryRun", "boolean"],
] as const;

/** ISO 8601. PostgreSQL takes more, such as "tomorrow", which is seldom what a client means. */
const TIME = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)? ?(Z|[+-]\d\d(:?\d\d)?)?$/i;

function inSql(field: string, value: unknown, type: string): unknown {
  if (type === "timestamp" && typeof value === "string" && /(Z|[+-]\d\d(:?\d\d)?)$/i.test(value)) {
    throw new ApiError(
      "BAD_USER_INPUT",
      "A local time has no time zone: leave out Z or the offset.",
      {
        field,
      },
    );
  }
  if (type.startsWith("timestamp") && typeof value === "string" && !isTime(value)) {
    throw new ApiError("BAD_USER_INPUT", "A time is written like 2026-12-24T09:00:00Z.", { field });
  }
  return type === "jsonb" && value != null ? JSON.stringify(value) : (value ?? null);
}

function isTime(text: string): boolean {
  if (!TIME.test(text)) return false;
  const [day = ""] = text.split(/[T ]/i);
  // Not 30 February, which Date.parse takes for a day in March.
  const midnight = new Date(`${day}T00:00:00Z`);
  return (
    !Number.isNaN(Date.parse(text.replace(" ", "T").replace(" ", ""))) &&
    midnight.toISOString().startsWith(day)
  );
}
