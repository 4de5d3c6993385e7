import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { type Running, runEntry } from "./processes.ts";

export interface ApiProcess {
  api: Running;
  url: string;
  database: TestDatabase;
  close(): Promise<void>;
}

/** The API by its real entry, in a process and on a database of its own. `nodeFlags` besides those of its npm script. */
export async function startApiProcess(
  env: Record<string, string> = {},
  nodeFlags: string[] = [],
): Promise<ApiProcess> {
  await using stack = new AsyncDisposableStack();
  const database = await createTestDatabase();
  stack.defer(() => database.drop());
  const dataDirectory = await mkdtemp(join(tmpdir(), "howdah-api-"));
  stack.defer(() => rm(dataDirectory, { recursive: true, force: true }));
  const api = runEntry(
    "src/api.ts",
    {
      AUTHENTICATOR_DATABASE_URL: database.authenticatorUrl,
      DATA_DIR: dataDirectory,
      PORT: "0",
      OPS_PORT: "0",
      ...env,
    },
    [],
    nodeFlags,
  );
  stack.defer(async () => {
    await api.ends("SIGTERM");
  });
  const [, url = ""] = await api.prints(/"url":"([^"]+)".*"API ready"/);
  const kept = stack.move();
  return { api, url, database, close: () => kept.disposeAsync() };
}
