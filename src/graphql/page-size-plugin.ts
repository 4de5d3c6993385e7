import {
  __InputStaticLeafStep,
  ConstantStep,
  constant,
  type FieldArg,
  lambda,
  type Step,
} from "postgraphile/grafast";
import { ApiError } from "../errors.ts";

export const DEFAULT_PAGE = 20;
export const MAX_PAGE = 100;
const MAX_OFFSET = 2 ** 31 - 1;

/**
 * Bounds every collection: `first` and `last` are 0 to 100, one of them at a time, and without
 * either the first 20 come.
 */
export const PageSizePlugin: GraphileConfig.Plugin = {
  name: "HowdahPageSizePlugin",
  version: "1.0.0",
  after: ["PgFirstLastBeforeAfterArgsPlugin"],
  schema: {
    hooks: {
      GraphQLObjectType_fields_field_args_arg(arg, _build, { scope }) {
        if (!isCollection(scope)) return arg;
        // `first` and `last` are left to the field below: it alone knows whether either was given.
        if (scope.argName === "first") {
          arg.applyPlan = () => {};
          arg.description = `Only the first of these, at most ${MAX_PAGE}; ${DEFAULT_PAGE} where neither \`first\` nor \`last\` is given.`;
        } else if (scope.argName === "last") {
          arg.applyPlan = () => {};
          arg.description = `Only the last of these, at most ${MAX_PAGE}.`;
        } else if (scope.argName === "offset") {
          arg.applyPlan = (_$parent: Step, $collection: Collection, value: FieldArg) => {
            $collection.setOffset(
              computed([value.getRaw()], ([offset]) => bounded("offset", offset, MAX_OFFSET)),
            );
          };
        }
        return arg;
      },
      GraphQLObjectType_fields_field(field, _build, { scope }) {
        const { plan } = field;
        if (!plan || !isCollection(scope)) return field;
        field.plan = ($parent, args, info) => {
          const $collection = plan($parent, args, info) as Step & Collection;
          const takes = (name: string) => info.field.args.some((arg) => arg.name === name);
          if (takes("last")) {
            const $first = args.getRaw("first");
            const $last = args.getRaw("last");
            $collection.setFirst(
              computed([$first, $last], ([first, last]) => firstOf(first, last)),
            );
            $collection.setLast(computed([$last], ([last]) => bounded("last", last)));
          } else if (takes("first")) {
            $collection.setFirst(
              computed([args.getRaw("first")], ([first]) => firstOf(first, null)),
            );
          }
          return $collection;
        };
        return field;
      },
    },
  },
};

interface Collection {
  setFirst($value: Step): void;
  setLast($value: Step): void;
  setOffset($value: Step): void;
}

function isCollection(scope: {
  isPgFieldConnection?: boolean;
  isPgFieldSimpleCollection?: boolean;
}): boolean {
  return Boolean(scope.isPgFieldConnection || scope.isPgFieldSimpleCollection);
}

/** Computed once, with the plan, where the operation itself says what is asked for; what is refused is refused as it runs. */
function computed($values: Step[], compute: (values: readonly unknown[]) => number | null): Step {
  const known = $values.flatMap(staticValue);
  if (known.length === $values.length) {
    try {
      return constant(compute(known));
    } catch {
      // As below.
    }
  }
  return lambda($values, compute);
}

/** Of a default, or of what stands in the operation itself; nothing of a variable. */
function staticValue($value: Step): [unknown] | [] {
  if ($value instanceof ConstantStep) return [$value.data];
  if ($value instanceof __InputStaticLeafStep) return [$value.unbatchedExecute()];
  return [];
}

function firstOf(first: unknown, last: unknown): number | null {
  if (first != null && last != null) {
    throw new ApiError("BAD_USER_INPUT", "Give `first` or `last`, not both.", { field: "last" });
  }
  return bounded("first", first) ?? (last == null ? DEFAULT_PAGE : null);
}

function bounded(name: string, value: unknown, max = MAX_PAGE): number | null {
  if (value == null) return null;
  if (typeof value !== "number" || value < 0 || value > max) {
    throw new ApiError("BAD_USER_INPUT", `\`${name}\` is a number from 0 to ${max}.`, {
      field: name,
    });
  }
  return value;
}
