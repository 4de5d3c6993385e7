import { type GraphQLSchema, lexicographicSortSchema, printSchema } from "graphql";

/** A schema as schema.graphql has it: sorted, so that a difference is a change. */
export function schemaText(schema: GraphQLSchema): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`;
}
