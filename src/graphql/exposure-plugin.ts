import "postgraphile";

/**
 * One way to a row: by its key, or by `node(nodeId:)`. Look-ups by another unique constraint would be
 * oracles ("does this token exist?"), and the rest would be noise.
 */
export const ExposurePlugin: GraphileConfig.Plugin = {
  name: "HowdahExposurePlugin",
  version: "1.0.0",
  schema: {
    entityBehavior: {
      pgResourceUnique: {
        inferred: {
          after: ["inferred"],
          provides: ["howdahExposure"],
          callback: (behavior, [, unique]) =>
            unique.isPrimary
              ? behavior
              : [behavior, "-single", "-resource:update", "-resource:delete"],
        },
      },
    },
    hooks: {
      GraphQLObjectType_fields: {
        after: ["NodeAccessorPlugin"],
        callback(fields, build, { scope }) {
          if (!scope.isRootQuery) return fields;
          const accessors = build
            .getNodeTypeNames?.()
            .map((name) => build.inflection.nodeById(name));
          return Object.fromEntries(
            Object.entries(fields).filter(([name]) => !accessors?.includes(name)),
          );
        },
      },
    },
  },
};

/** What other presets bring and Howdah leaves out. */
export const LEFT_OUT = [
  // `filter` does all that `condition` does.
  "PgConditionArgumentPlugin",
  "PgConditionCustomFieldsPlugin",
  // Filters across relations cannot be bounded by the indexes of one table.
  "PgConnectionArgFilterForwardRelationsPlugin",
  "PgConnectionArgFilterBackwardRelationsPlugin",
];
