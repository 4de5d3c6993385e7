import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { codegen } from "@graphql-codegen/core";
import * as documentNodes from "@graphql-codegen/typed-document-node";
import * as operations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";
import config from "../examples/client/codegen.ts";

/** The types of a folder's operations.graphql, as GraphQL Code Generator makes them of a schema. */
export async function clientTypes(schema: string, folder: string): Promise<string> {
  const document = parse(await readFile(join(folder, "operations.graphql"), "utf8"));
  const code = await codegen({
    filename: `${folder}/generated.ts`,
    schema: parse(schema),
    documents: [{ location: "operations.graphql", document }],
    config: config.generates["generated.ts"].config,
    plugins: [{ operations: {} }, { documentNodes: {} }],
    pluginMap: { operations, documentNodes },
  });
  return `// Made of schema.graphql and operations.graphql: npx vitest run test/api/schema-file.test.ts -u\n${code}`;
}
