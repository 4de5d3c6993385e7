import { access, context, inhibitOnNull } from "postgraphile/grafast";
import { wrapPlans } from "postgraphile/utils";

/**
 * `me` is read as what app_public.me() says it is: the row of users of who asks, as row-level security shows it to them.
 * For a call of the function PostgreSQL would run a query within the query, and copy the row type of users with
 * all its constraints, twice, each time: a third of what it takes for the whole request.
 */
export const MePlugin = wrapPlans((build) => {
  const { users } = build.input.pgRegistry.pgResources;
  if (!users) throw new Error("The table app_public.users is missing: run `npm run migrate`.");
  return {
    Query: {
      me() {
        const $userId = access<number | undefined>(context(), ["identity", "userId"]);
        return users.get({ id: inhibitOnNull($userId) });
      },
    },
  };
});
