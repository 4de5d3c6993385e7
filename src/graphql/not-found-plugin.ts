import { type ObjectStep, sideEffect } from "postgraphile/grafast";
import { wrapPlans } from "postgraphile/utils";
import { ApiError } from "../errors.ts";
import { NO_SUCH_ROW } from "./errors.ts";

/** An update that row-level security (or a wrong id) turned into nothing is an error, not a null. */
export const NotFoundPlugin = wrapPlans(
  ({ scope }) => (scope.isPgUpdateMutation ? true : null),
  () => (plan) => {
    const $payload = plan() as ObjectStep;
    sideEffect($payload.getStepForKey("result"), (row) => {
      if (row == null) throw new ApiError("NOT_FOUND", NO_SUCH_ROW);
    });
    return $payload;
  },
  { name: "HowdahNotFoundPlugin", disableResolverEmulationWarnings: true },
);
