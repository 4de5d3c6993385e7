import "postgraphile";
import {
  type PgCodecWithAttributes,
  type PgOrderSpec,
  type PgResource,
  type PgSelectStep,
  sql,
  TYPES,
} from "postgraphile/@dataplan/pg";
import type { ConnectionStep, FieldArgs } from "postgraphile/grafast";

/** A column of the rows, or a function of app_hidden with the row and arguments of the field. */
interface Part {
  name: string;
  /** Undefined for a column. */
  parameters: string[] | undefined;
  direction: "ASC" | "DESC";
}

/**
 * Cursors that name a row, for the connections of functions: `@orderedBy id desc` in a function's comment says by
 * which columns its rows are ordered, all of them together unique. `@orderedBy item_rank(search) desc, id desc`
 * has app_hidden.item_rank(row, search) in it. Without the tag PostGraphile knows no order of a function's
 * rows, and its cursors are offsets.
 */
export const FunctionOrderPlugin: GraphileConfig.Plugin = {
  name: "HowdahFunctionOrderPlugin",
  version: "1.0.0",
  schema: {
    entityBehavior: {
      pgResource: {
        inferred: {
          provides: ["howdahFunctionOrder"],
          after: ["default", "inferred"],
          callback: (behavior, resource) =>
            orderOf(resource) ? [behavior, "resource:connection:backwards"] : behavior,
        },
      },
    },
    hooks: {
      GraphQLObjectType_fields_field(field, _build, { scope }) {
        const resource = scope.isPgFieldConnection ? scope.pgFieldResource : undefined;
        const order = resource && orderOf(resource);
        const { plan } = field;
        if (!resource || !order || !plan) return field;
        field.plan = ($parent, args, info) => {
          const $connection = plan($parent, args, info) as ConnectionStep<never, never, never>;
          const $rows = $connection.getSubplan() as unknown as PgSelectStep;
          for (const part of order) $rows.orderBy(specOf(part, resource, $rows, args));
          $rows.setOrderIsUnique();
          return $connection;
        };
        return field;
      },
    },
  },
};

function orderOf(resource: PgResource): Part[] | undefined {
  const tag = resource.parameters && resource.extensions?.tags?.orderedBy;
  if (tag === undefined) return undefined;
  return `${tag}`.split(/,(?![^(]*\))/).map((text) => {
    const [, name, parameters, direction] =
      /^\s*(\w+)(?:\(([\w\s,]*)\))?(?:\s+(asc|desc))?\s*$/i.exec(text) ?? [];
    const columns = (resource.codec as PgCodecWithAttributes).attributes;
    if (!name || (parameters === undefined && !columns?.[name])) {
      throw new Error(
        `@orderedBy of the function ${resource.name}: "${text.trim()}" is no column.`,
      );
    }
    return {
      name,
      parameters: parameters?.split(",").map((one) => one.trim()),
      direction: direction?.toLowerCase() === "desc" ? "DESC" : "ASC",
    };
  });
}

function specOf(
  { name, parameters, direction }: Part,
  resource: PgResource,
  $rows: PgSelectStep,
  args: FieldArgs,
): PgOrderSpec {
  if (!parameters) return { attribute: name, direction };
  const values = parameters.map((parameter) => {
    const codec = resource.parameters?.find((one) => one.name === parameter)?.codec;
    return $rows.placeholder(args.getRaw(parameter), codec ?? TYPES.text);
  });
  return {
    fragment: sql`${sql.identifier("app_hidden", name)}(${sql.join([$rows.alias, ...values], ", ")})`,
    codec: TYPES.float,
    direction,
    nullable: false,
  };
}
