import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import pg from "pg";
import { accessMatrix } from "../src/access/access-matrix.ts";
import { createThrowawayDatabase, MigrationError } from "../src/database/throwaway.ts";

const ACCESS_FILE = "migrations/access.md";

/**
 * Writes who may what, as the migrations give it: in a database that is made for this.
 * @returns the exit code
 */
export async function access(): Promise<number> {
  try {
    const matrix = await accessOfMigrations();
    await writeFile(resolve(import.meta.dirname, "..", ACCESS_FILE), matrix);
    console.log(`${ACCESS_FILE} says who may what.`);
    return 0;
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    console.error(error.message);
    return 1;
  }
}

async function accessOfMigrations(): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const password = randomBytes(24).toString("base64url");
  const database = await createThrowawayDatabase(password, { current: true });
  stack.defer(() => database.drop());
  const client = new pg.Client({ connectionString: database.ownerUrl });
  stack.defer(() => client.end());
  await client.connect();
  return await accessMatrix(client);
}
