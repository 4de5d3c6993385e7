import { access, context, lambda, listen, type Step } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import type { Identity } from "../auth/access-tokens.ts";
import { ApiError } from "../errors.ts";

/** `notificationReceived`: the topic is the user's own, and the row is read again as that user. */
export const NotificationReceivedPlugin = extendSchema((build) => {
  const { notifications } = build.pgResources;
  if (!notifications) {
    throw new Error("The table app_public.notifications is missing: run `npm run migrate`.");
  }
  return {
    typeDefs: gql`
      type NotificationReceivedPayload {
        notification: Notification
      }
      extend type Subscription {
        """Each notification that reaches the inbox of the user who asks, as it does."""
        notificationReceived: NotificationReceivedPayload
      }
    `,
    objects: {
      Subscription: {
        plans: {
          notificationReceived: {
            subscribePlan() {
              const $topic = lambda(context().get("identity") as Step<Identity>, ({ userId }) => {
                if (userId === undefined) throw new ApiError("UNAUTHENTICATED", "Log in first.");
                return `notification_received:${userId}`;
              });
              return listen(context().get("liveEvents"), $topic);
            },
            plan($event) {
              return $event;
            },
          },
        },
      },
      NotificationReceivedPayload: {
        plans: {
          notification($event) {
            return notifications.get({ id: access($event, "id") });
          },
        },
      },
    },
  };
});
