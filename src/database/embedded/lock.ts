import { link, readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { isAlive } from "./server.ts";

/** How long to wait for another process that starts the same cluster, milliseconds. */
const PATIENCE = 120_000;
const POLL_INTERVAL = 25;

/** Runs `work` while no other process holds this lock file; a dead holder's lock does not count. */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + PATIENCE;
  // Written first and linked then: whoever sees the lock can read whose it is.
  const own = `${path}.${process.pid}`;
  await writeFile(own, String(process.pid));
  try {
    while (!(await tryLink(own, path))) {
      const holder = Number(await readFile(path, "utf8").catch(() => "0"));
      if (holder > 0 && !isAlive(holder)) await rm(path, { force: true });
      else if (Date.now() > deadline) throw new Error(`process ${holder} holds ${path} too long`);
      else await delay(POLL_INTERVAL);
    }
  } finally {
    await rm(own, { force: true });
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function tryLink(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}
