import "postgraphile";
import "postgraphile-plugin-connection-filter";

/**
 * A column of type citext is compared as citext, without regard to case, as it is everywhere else in SQL:
 * the filter plugin would cast it to text, and go past its index.
 */
export const CitextFilterPlugin: GraphileConfig.Plugin = {
  name: "HowdahCitextFilterPlugin",
  version: "1.0.0",
  after: ["PgConnectionArgFilterOperatorsPlugin"],
  schema: {
    hooks: {
      build(build) {
        const { TYPES } = build.dataplanPg as NonNullable<typeof build.dataplanPg>;
        const asText = build.pgAggregatesForceTextTypesSensitive ?? [];
        const position = asText.indexOf(TYPES.citext);
        if (position === -1)
          throw new Error("The filter plugin compares citext in another way now.");
        asText.splice(position, 1);
        return build;
      },
    },
  },
};
