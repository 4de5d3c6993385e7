import "postgraphile";

/**
 * The names of the API: `id` is the table's key and `nodeId` the global Relay id; a mutation's
 * payload names what it holds (`deviceToken`, not `result`); enum values are in capitals, as GraphQL
 * writes them, while PostgreSQL's labels stay in lower case.
 */
export const NamingPlugin: GraphileConfig.Plugin = {
  name: "HowdahNamingPlugin",
  version: "1.0.0",
  inflection: {
    replace: {
      nodeIdFieldName() {
        return "nodeId";
      },
      _attributeName(previous, _preset, details) {
        const name = previous?.(details) ?? details.attributeName;
        if (details.skipRowId || name !== "row_id") return name;
        const attribute = details.codec.attributes[details.attributeName];
        const original = attribute?.extensions?.tags?.name ?? details.attributeName;
        return original === "id" ? "id" : name;
      },
      functionMutationResultFieldName(previous, _preset, details) {
        const { resource } = details;
        const { codec } = resource;
        if (!codec.attributes || codec.isAnonymous) {
          return previous?.(details) ?? "result";
        }
        const singular = this.camelCase(this.tableType(codec));
        return resource.isUnique ? singular : this.pluralize(singular);
      },
      enumValue(previous, _preset, value, codec) {
        const nameOf = (label: string) =>
          (previous?.(label, codec) ?? label).toUpperCase().replace(/[^_A-Z0-9]+/g, "_");
        const name = nameOf(value);
        const other = codec.values.find((one) => one.value !== value && nameOf(one.value) === name);
        if (other) {
          throw new Error(
            `The values '${value}' and '${other.value}' of enum ${codec.extensions?.pg?.name ?? codec.name} are both ${name} in the API: alter type … rename value …`,
          );
        }
        return name;
      },
    },
  },
};
