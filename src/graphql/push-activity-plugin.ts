import { access, context, lambda, listen, type Step } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import type { Identity } from "../auth/access-tokens.ts";
import { ApiError } from "../errors.ts";

/** `pushActivity`: each notification as its state changes; for operators. */
export const PushActivityPlugin = extendSchema((build) => {
  const { notifications } = build.pgResources;
  if (!notifications) throw new Error("The table notifications is missing: run `npm run migrate`.");
  return {
    typeDefs: gql`
      type PushActivityPayload {
        notification: Notification
      }
      extend type Subscription {
        """Each notification that begins to be sent, or has ended; for operators."""
        pushActivity: PushActivityPayload
      }
    `,
    objects: {
      Subscription: {
        plans: {
          pushActivity: {
            subscribePlan() {
              const $topic = lambda(
                context().get("identity") as Step<Identity>,
                ({ userId, settings }) => {
                  if (userId === undefined) throw new ApiError("UNAUTHENTICATED", "Log in first.");
                  if (settings.role !== "howdah_operator") {
                    throw new ApiError("FORBIDDEN", "This is for operators.");
                  }
                  return "push_activity:0";
                },
              );
              return listen(context().get("liveEvents"), $topic);
            },
            plan: ($event: Step) => $event,
          },
        },
      },
      PushActivityPayload: {
        plans: {
          notification: ($event: Step) => notifications.get({ id: access($event, "id") }),
        },
      },
    },
  };
});
