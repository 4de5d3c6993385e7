import { sideEffect } from "postgraphile/grafast";
import { wrapPlans } from "postgraphile/utils";
import { ApiError } from "../errors.ts";

/** What PostgreSQL takes for a time of day, in the form in which the API answers it. */
const TIME_OF_DAY = /^(([01]?\d|2[0-3])(:[0-5]\d){1,2}(\.\d+)?|24:00(:00)?)$/;

/** `setQuietHours`: PostgreSQL does not say which of two times is none. */
export const QuietHoursPlugin = wrapPlans({
  Mutation: {
    setQuietHours(plan, _$root, args) {
      sideEffect(args.getRaw("input"), (input) => {
        for (const field of ["starts", "ends"]) {
          const time = (input as Record<string, unknown>)[field];
          if (typeof time === "string" && !TIME_OF_DAY.test(time)) {
            throw new ApiError("BAD_USER_INPUT", "A time of day is written like 22:00.", { field });
          }
        }
      });
      return plan();
    },
  },
});
