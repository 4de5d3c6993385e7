import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { calculateHash } from "graphile-migrate/dist/hash.js";

/** A copy of our migrations with one more committed; `after` is the last of ours. */
export async function withMigration(
  body: string,
): Promise<{ migrationsFolder: string; after: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "howdah-breaking-"));
  await cp("migrations", folder, { recursive: true });
  const last = (await readdir(join(folder, "committed"))).sort().at(-1) as string;
  const text = await readFile(join(folder, "committed", last), "utf8");
  const [, previous] = /^--! Hash: (\S+)/m.exec(text) as RegExpExecArray;
  const number = Number.parseInt(last, 10);
  const hash = calculateHash(body, previous as string);
  await writeFile(
    join(folder, `committed/${String(number + 1).padStart(6, "0")}-next.sql`),
    `--! Previous: ${previous}\n--! Hash: ${hash}\n--! Message: next\n\n${body}\n`,
  );
  const remove = () => rm(folder, { recursive: true, force: true });
  return { migrationsFolder: folder, after: last, remove };
}
