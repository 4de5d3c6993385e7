import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

/** A copy of this repository that a test may start in, change and throw away. */
export async function copyOfProject(): Promise<{ root: string; remove(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), "howdah-project-"));
  await chmod(root, 0o755);
  const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    encoding: "utf8",
  });
  for (const file of files.trim().split("\n").filter(existsSync)) {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await cp(resolve(file), join(root, file));
  }
  // The console as it was built.
  for (const folder of ["node_modules", "dist"]) await symlink(resolve(folder), join(root, folder));
  return { root, remove: () => rm(root, { recursive: true, force: true }) };
}
