import "postgraphile/graphile-build-pg";
import { access, context, inhibitOnNull } from "postgraphile/grafast";
import type { Introspection, PgProc } from "postgraphile/graphile-build-pg/pg-introspection";
import { entityPermissions } from "postgraphile/graphile-build-pg/pg-introspection";
import { type PlanWrapperRules, wrapPlans } from "postgraphile/utils";

declare global {
  namespace DataplanPg {
    interface PgResourceExtensions {
      /** What this function gives is the row of users that its caller may read anyway: see MePlugin. */
      isOwnRow?: boolean;
    }
  }
}

/** The body of app_public.me() as it was shipped, blanks aside. */
const SHIPPED =
  "select u from app_public.users u where u.id = app_public.current_user_id() and u.deleted_at is null;";

/**
 * `me` is read from the table users, while app_public.me() is as it was shipped and who asks may read their row there
 * themselves. For a call of the function PostgreSQL would run a query within the query, and copy the row type of
 * users with all its constraints, twice, each time. A function that says anything else is called.
 */
export const MePlugin: GraphileConfig.Plugin = {
  ...wrapPlans((build) => {
    const { users, me } = build.input.pgRegistry.pgResources;
    const rules: PlanWrapperRules = {};
    if (users && me?.extensions?.isOwnRow) {
      const own = () => {
        const $userId = access<number | undefined>(context(), ["identity", "userId"]);
        return users.get({ id: inhibitOnNull($userId) });
      };
      rules.Query = { me: own };
    }
    return rules;
  }),
  name: "HowdahMePlugin",
  version: "1.0.0",
  gather: {
    hooks: {
      async pgProcedures_PgResourceOptions({ helpers }, { serviceName, pgProc, resourceOptions }) {
        const { introspection } = await helpers.pgIntrospection.getService(serviceName);
        if (isOwnRow(introspection, pgProc)) {
          resourceOptions.extensions = { ...resourceOptions.extensions, isOwnRow: true };
        }
      },
    },
  },
};

function isOwnRow(introspection: Introspection, pgProc: PgProc): boolean {
  if (pgProc.getNamespace()?.nspname !== "app_public" || pgProc.proname !== "me") return false;
  const table = pgProc.getReturnType()?.getClass();
  if (pgProc.proretset || pgProc.pronargs || table?.relname !== "users") return false;
  if (pgProc.prosrc?.replace(/\s+/g, " ").trim() !== SHIPPED) return false;
  const reading = introspection.policies.filter(
    ({ polrelid, polcmd }) => polrelid === table._id && (polcmd === "r" || polcmd === "*"),
  );
  return ["howdah_user", "howdah_operator"].every((name) => {
    const role = introspection.roles.find(({ rolname }) => rolname === name);
    return (
      role &&
      entityPermissions(introspection, pgProc, role).execute &&
      entityPermissions(introspection, table, role).select &&
      reading.some(({ polroles }) => polroles?.includes(role._id))
    );
  });
}
