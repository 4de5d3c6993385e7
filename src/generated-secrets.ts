import { randomUUID } from "node:crypto";
import { link, mkdir, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * A secret that development makes for itself and keeps in DATA_DIR/secrets (mode 0600), so that
 * tokens and passwords survive a restart. Production never comes here: see config.ts.
 */
export async function generatedSecret(
  dataDirectory: string,
  name: string,
  generate: () => string,
): Promise<string> {
  const directory = join(dataDirectory, "secrets");
  const path = join(directory, name);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await readFile(path, "utf8").catch(unless("ENOENT"));
  if (found !== undefined) return found;
  // There at once and whole, or not at all: other processes start at the same time.
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, generate(), { mode: 0o600, flag: "wx" });
  try {
    await link(draft, path).catch(unless("EEXIST"));
  } finally {
    await unlink(draft);
  }
  return readFile(path, "utf8");
}

function unless(code: string): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (error.code !== code) throw error;
  };
}
