import { getHeapStatistics } from "node:v8";
import "postgraphile/grafast";

/** Part of the heap that plans may take, and what one step of a plan takes, bytes: both measured with plans of the largest kind. */
const SHARE = 0.2;
const STEP = 7000;

/** Plans of one operation at most: for other variables in @skip and @include, say. */
const PLANS_OF_AN_OPERATION = 5;

/**
 * Bounds what plans are kept. grafast keeps those of 500 operations, however large: a client that makes up large
 * operations, each another one, would have the process run out of memory. Here all are dropped once their steps are
 * too many together; those that are in use are made anew.
 */
export function createPlanMemoryPlugin(
  most = (getHeapStatistics().heap_size_limit * SHARE) / STEP,
): GraphileConfig.Plugin {
  let kept = new WeakSet<object>();
  let steps = 0;

  return {
    name: "HowdahPlanMemoryPlugin",
    version: "1.0.0",
    grafast: {
      middleware: {
        establishOperationPlan(next, { schema }) {
          const plan = next();
          if (kept.has(plan)) return plan;
          kept.add(plan);
          steps += (plan as unknown as { stepTracker: { stepCount: number } }).stepTracker
            .stepCount;
          if (steps > most) {
            kept = new WeakSet();
            steps = 0;
            forgetPlans(schema.extensions.grafast as Record<symbol, unknown>);
          }
          return plan;
        },
      },
    },
    schema: {
      hooks: {
        GraphQLSchema(config) {
          const { extensions } = config;
          return {
            ...config,
            extensions: {
              ...extensions,
              grafast: {
                ...extensions?.grafast,
                operationOperationPlansCacheMaxLength: PLANS_OF_AN_OPERATION,
              },
            },
          };
        },
      },
    },
  };
}

/** grafast keeps them by a symbol of its own. */
function forgetPlans(caches: Record<symbol, unknown>): void {
  const own = Object.getOwnPropertySymbols(caches).find(
    ({ description }) => description === "cacheByOperation",
  );
  if (own === undefined) throw new Error("grafast does not keep its plans where it did.");
  (caches[own] as { reset(): void }).reset();
}
