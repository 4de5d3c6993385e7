import { readFile } from "node:fs/promises";
import { codegen } from "@graphql-codegen/core";
import * as documentNodes from "@graphql-codegen/typed-document-node";
import * as operations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";

/** The types of a folder's operations.graphql, as GraphQL Code Generator makes them of a schema. */
export async function clientTypes(schema: string, folder: string): Promise<string> {
  const document = parse(await readFile(`${folder}/operations.graphql`, "utf8"));
  const code = await codegen({
    filename: `${folder}/generated.ts`,
    schema: parse(schema),
    documents: [{ location: "operations.graphql", document }],
    config: {
      useTypeImports: true,
      enumsAsTypes: true,
      strictScalars: true,
      scalars: {
        BigInt: "string",
        Cursor: "string",
        Datetime: "string",
        InternetAddress: "string",
        JSON: "unknown",
        Time: "string",
      },
    },
    plugins: [{ operations: {} }, { documentNodes: {} }],
    pluginMap: { operations, documentNodes },
  });
  return `// Made of schema.graphql and operations.graphql: npx vitest run test/api/schema-file.test.ts -u\n${code}`;
}
