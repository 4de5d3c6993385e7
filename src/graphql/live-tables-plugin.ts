import type { PgCodecWithAttributes, PgResource } from "postgraphile/@dataplan/pg";
import { access, context, lambda, listen, object, type Step } from "postgraphile/grafast";
import { parse } from "postgraphile/graphql";
import { extendSchema } from "postgraphile/utils";
import type { Identity } from "../auth/access-tokens.ts";

/** A table with the tag @live, and how its subscription is called. */
interface LiveTable {
  resource: PgResource;
  /** As `schema.table`, unquoted where PostgreSQL needs no quotes. */
  name: string;
  key: string;
  /** Columns by which subscribers may choose: the key, and each foreign key of one column. */
  matched: string[];
}

const plugin = extendSchema((build) => {
  const { inflection } = build;
  const tables = Object.values(build.pgResources as Record<string, PgResource>).flatMap(liveTable);
  const typeOf = ({ resource }: LiveTable, attribute: string, situation: "input" | "output") => {
    const codec = (resource.codec as PgCodecWithAttributes).attributes[attribute]?.codec;
    return codec && build.getGraphQLTypeNameByPgCodec(codec, situation);
  };
  const argument = ({ resource }: LiveTable, attributeName: string) =>
    inflection.attribute({ attributeName, codec: resource.codec as PgCodecWithAttributes });
  const named = tables.map((table) => {
    const type = inflection.tableType(table.resource.codec as PgCodecWithAttributes);
    const field = inflection.camelCase(type);
    return {
      table,
      type,
      field,
      subscription: `${field}Changed`,
      payload: `${type}ChangedPayload`,
    };
  });
  if (named.length === 0) return { typeDefs: [] };

  const typeDefs = named.map(({ table, type, field, subscription, payload }) =>
    parse(`
      """A change of one of those that the subscriber may read."""
      type ${payload} {
        """Null in the initial event."""
        operation: ChangeOperation
        """Of the row; null in an initial event about no row in particular."""
        id: ${typeOf(table, table.key, "output")}
        """As it is now; null where it is gone, or not the subscriber's to read any more."""
        ${field}: ${type}
      }
      extend type Subscription {
        """
        Each ${type} that is created, changed or deleted, as far as the subscriber may read it. One that
        passes out of their sight is told as deleted.
        """
        ${subscription}(
          ${table.matched
            .map(
              (column) => `"""Only where \`${argument(table, column)}\` is or was this."""
          ${argument(table, column)}: ${typeOf(table, column, "input")}`,
            )
            .join("\n          ")}
          """Send an event at once: what is fetched after it misses no change."""
          initialEvent: Boolean = false
        ): ${payload}
      }`),
  );
  return {
    typeDefs: [
      parse(`
        """What happened to a row."""
        enum ChangeOperation {
          INSERT
          UPDATE
          DELETE
        }`),
      ...typeDefs,
    ],
    objects: Object.fromEntries([
      [
        "Subscription",
        {
          plans: Object.fromEntries(
            named.map(({ table, subscription }) => [
              subscription,
              {
                // biome-ignore lint/suspicious/noExplicitAny: grafast's type of arguments is the schema's
                subscribePlan(_$root: Step, args: any) {
                  const $matches = object(
                    Object.fromEntries(
                      table.matched.map((column) => [column, args.getRaw(argument(table, column))]),
                    ),
                  );
                  const $request = lambda(
                    [
                      context().get("identity") as Step<Identity>,
                      $matches,
                      args.getRaw("initialEvent") as Step<boolean | null>,
                    ],
                    ([identity, matches, initialEvent]) => ({
                      table: table.name,
                      identity,
                      matches,
                      ...(initialEvent
                        ? { initial: { operation: null, id: matches[table.key] ?? null } }
                        : {}),
                    }),
                  );
                  return listen(context().get("liveTables") as never, $request as never);
                },
                plan: ($event: Step) => $event,
              },
            ]),
          ),
        },
      ],
      ...named.map(({ table, field, payload }) => [
        payload,
        {
          plans: {
            operation: ($event: Step) => access($event, "operation"),
            id: ($event: Step) => access($event, "id"),
            [field]: ($event: Step) => table.resource.get({ [table.key]: access($event, "id") }),
          },
        },
      ]),
    ]),
  };
});

const hook = plugin.schema?.hooks?.init as (
  init: object,
  build: GraphileBuild.Build,
  context: object,
) => never;

/**
 * `<table>Changed` for every table with the smart tag @live: what happened, which row, and that row
 * as the subscriber may read it now.
 */
export const LiveTablesPlugin: GraphileConfig.Plugin = {
  ...plugin,
  schema: {
    ...plugin.schema,
    hooks: {
      ...plugin.schema?.hooks,
      // The types of the columns have to be known.
      init: { after: ["PgCodecs"], callback: (init, build, context) => hook(init, build, context) },
    },
  },
};

function liveTable(resource: PgResource): LiveTable[] {
  const { codec, parameters, uniques, extensions } = resource;
  if (!codec.attributes || parameters || !codec.extensions?.tags?.live) return [];
  const [key, ...others] = uniques.find(({ isPrimary }) => isPrimary)?.attributes ?? [];
  const { schemaName, name } = extensions?.pg ?? {};
  if (key === undefined || others.length > 0) {
    throw new Error(
      `${schemaName}.${name} has the tag @live, and needs a primary key of one column.`,
    );
  }
  const foreign = Object.values(resource.getRelations()).flatMap(
    ({ isReferencee, localAttributes }) =>
      isReferencee || localAttributes.length > 1 ? [] : localAttributes,
  );
  return [
    {
      resource,
      name: `${schemaName}.${name}`,
      key: key as string,
      matched: [...new Set([key, ...foreign])] as string[],
    },
  ];
}
