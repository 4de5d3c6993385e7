import { mkdir, readFile, writeFile } from "node:fs/promises";
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
  try {
    await writeFile(path, generate(), { mode: 0o600, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return readFile(path, "utf8");
}
