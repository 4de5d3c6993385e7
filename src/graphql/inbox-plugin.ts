import { access, context, type FieldArgs, lambda, listen, type Step } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import type { Identity } from "../auth/access-tokens.ts";
import { ApiError } from "../errors.ts";

/** Live events of one's own inbox; the row is read again as that user. */
export const InboxPlugin = extendSchema((build) => {
  const { notifications } = build.pgResources;
  if (!notifications) {
    throw new Error("The table app_public.notifications is missing: run `npm run migrate`.");
  }
  /** The topic is the user's own: no argument leads to another's. */
  const subscription = (topic: string) => ({
    subscribePlan(_$root: Step, args: FieldArgs) {
      const $topic = lambda(context().get("identity") as Step<Identity>, ({ userId }) => {
        if (userId === undefined) throw new ApiError("UNAUTHENTICATED", "Log in first.");
        return `${topic}:${userId}`;
      });
      const $initial = lambda(args.getRaw("initialEvent") as Step<boolean | null>, (asked) =>
        asked ? { id: null } : undefined,
      );
      return listen(context().get("liveEvents"), $topic, ($event) => $event, $initial);
    },
    plan: ($event: Step) => $event,
  });
  const payload = {
    plans: {
      notification: ($event: Step) => notifications.get({ id: access($event, "id") }),
    },
  };
  return {
    typeDefs: gql`
      type NotificationReceivedPayload {
        notification: Notification
      }
      type NotificationReadPayload {
        notification: Notification
      }
      extend type Subscription {
        """Each notification that reaches the inbox of the user who asks, as it does."""
        notificationReceived(
          """Send an event without a notification at once: what is fetched after it misses no other."""
          initialEvent: Boolean = false
        ): NotificationReceivedPayload
        """Each notification that the user who asks has read, on whatever device."""
        notificationRead(
          """Send an event without a notification at once: what is fetched after it misses no other."""
          initialEvent: Boolean = false
        ): NotificationReadPayload
      }
    `,
    objects: {
      Subscription: {
        plans: {
          notificationReceived: subscription("notification_received"),
          notificationRead: subscription("notification_read"),
        },
      },
      NotificationReceivedPayload: payload,
      NotificationReadPayload: payload,
    },
  };
});
