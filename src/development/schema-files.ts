import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { clientTypes } from "../../scripts/client-types.ts";

/**
 * Writes schema.graphql and the example client's types, where they differ.
 * @returns what of it could not be done, for the terminal
 */
export async function writeSchemaFiles(root: string, schema: string): Promise<string | undefined> {
  await writeIfNew(join(root, "schema.graphql"), schema);
  if (!existsSync(join(root, "examples/client/operations.graphql"))) return undefined;
  try {
    const types = await clientTypes(schema, join(root, "examples/client"));
    await writeIfNew(join(root, "examples/client/generated.ts"), types);
    return undefined;
  } catch (error) {
    // An operation asks for what is gone: its types stay as they were.
    return `examples/client/operations.graphql does not fit the schema: ${(error as Error).message}`;
  }
}

async function writeIfNew(path: string, text: string): Promise<void> {
  const old = await readFile(path, "utf8").catch(() => undefined);
  if (old !== text) await writeFile(path, text);
}
