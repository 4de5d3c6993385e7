import "postgraphile";
import {
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
} from "postgraphile/graphql";
import { DESCRIPTIONS } from "./descriptions.ts";

/** Leaves nothing in the schema without a word, as far as it can be told from a name or is in DESCRIPTIONS. */
export const DescriptionsPlugin: GraphileConfig.Plugin = {
  name: "HowdahDescriptionsPlugin",
  version: "1.0.0",
  schema: {
    hooks: {
      finalize(schema) {
        for (const [coordinate, element] of elements(schema)) {
          const description = element.description || describe(coordinate);
          if (description)
            element.description = description.replace(/\b([Aa]) `(?=[AEIO])/g, "$1n `");
        }
        return schema;
      },
    },
  },
};

interface Described {
  description?: string | null | undefined;
}

/** Types, fields, arguments and values, by their schema coordinates. */
export function* elements(schema: GraphQLSchema): Generator<[string, Described]> {
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith("__")) continue;
    yield [type.name, type];
    if (isEnumType(type)) {
      for (const value of type.getValues()) yield [`${type.name}.${value.name}`, value];
    }
    if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      yield [`${type.name}.${field.name}`, field];
      if (!("args" in field)) continue;
      for (const argument of field.args) {
        yield [`${type.name}.${field.name}(${argument.name}:)`, argument];
      }
    }
  }
}

function describe(coordinate: string): string | undefined {
  const known = DESCRIPTIONS[coordinate];
  if (known) return known;
  const [typeName = "", field] = coordinate.split(".");
  const [, mutation = "", kind] = /^(.*)(Input|Payload)$/.exec(typeName) ?? [];
  const name = `${mutation.charAt(0).toLowerCase()}${mutation.slice(1)}`;
  if (field === undefined) {
    if (kind === "Input") return `All input for the \`${name}\` mutation.`;
    return kind && `The output of our \`${name}\` mutation.`;
  }
  if (field === "clientMutationId") return "Comes back in the payload as it is.";
  if (field === "id") return kind === "Input" ? "Of the row that is meant." : "The table's key.";
  if (field === "tokens") return "Of the new session, or of the same with the next tokens.";
  if (kind === "Payload") return "The row, as it is now.";
  const [, argument] = /\((\w+):\)$/.exec(field) ?? [];
  return argument && `Its \`${argument}\`.`;
}
