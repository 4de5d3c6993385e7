import "postgraphile";
import { GraphQLError, Kind, type ValueNode } from "postgraphile/graphql";

/** A JSON literal with an enum value in it is refused by validation: planning would print it as a fault of ours. */
export const JsonLiteralPlugin: GraphileConfig.Plugin = {
  name: "HowdahJsonLiteralPlugin",
  version: "1.0.0",
  schema: {
    hooks: {
      GraphQLScalarType(config) {
        const { parseLiteral } = config;
        if (config.name !== "JSON" || !parseLiteral) return config;
        return {
          ...config,
          parseLiteral(node, variables) {
            refuseEnums(node);
            return parseLiteral(node, variables);
          },
        };
      },
    },
  },
};

/** @throws {GraphQLError} */
function refuseEnums(node: ValueNode): void {
  if (node.kind === Kind.ENUM) {
    throw new GraphQLError(`A JSON literal cannot have an enum value in it: "${node.value}".`, {
      nodes: node,
    });
  }
  if (node.kind === Kind.LIST) node.values.forEach(refuseEnums);
  if (node.kind === Kind.OBJECT) for (const { value } of node.fields) refuseEnums(value);
}
