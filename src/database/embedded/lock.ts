import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm, unlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isMarkAlive, processMark } from "./process.ts";

/** How long to wait for another process that starts the same cluster, milliseconds. */
const PATIENCE = 120_000;
const POLL_INTERVAL = 25;

/**
 * Runs `work` while no other process holds this lock; a dead holder's lock does not count.
 *
 * The lock is a folder with one file, named after its holder. A folder can be renamed onto an empty
 * one only, so of all who try one succeeds; and who finds a dead holder deletes the file of that
 * name, which cannot hit a lock that somebody else has taken meanwhile.
 */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + PATIENCE;
  const holder = uniqueMark();
  const candidate = `${path}.${holder}`;
  await mkdir(candidate);
  try {
    await writeFile(join(candidate, holder), "");
    while (!(await tryRename(candidate, path))) {
      const other = await clearDeadHolder(path);
      if (other === undefined) continue;
      if (Date.now() > deadline) throw new Error(`${path} is held too long, by process ${other}`);
      await delay(POLL_INTERVAL);
    }
  } catch (error) {
    await rm(candidate, { recursive: true, force: true });
    throw error;
  }
  try {
    await removeDeadAttempts(`${path}.`);
    return await work();
  } finally {
    await unlink(join(path, holder));
  }
}

/** A name for something that this process makes and that is rubbish once the process is dead. */
export function uniqueMark(): string {
  return `${processMark()}.${randomBytes(4).toString("hex")}`;
}

/** Removes what begins with this path and ends in the mark of a process that has died. */
export async function removeDeadAttempts(prefix: string): Promise<void> {
  for (const name of await readdir(dirname(prefix))) {
    if (!name.startsWith(basename(prefix))) continue;
    if (isMakerAlive(name.slice(basename(prefix).length).replace(/^-/, ""))) continue;
    await rm(join(dirname(prefix), name), { recursive: true, force: true, maxRetries: 5 });
  }
}

function isMakerAlive(uniqueMark: string): boolean {
  return isMarkAlive(uniqueMark.split(".")[0] as string);
}

/** The living holder; undefined where there is none (any more), so that a new try is worth it. */
async function clearDeadHolder(path: string): Promise<string | undefined> {
  const [holder] = await readdir(path);
  if (holder === undefined) return undefined;
  if (isMakerAlive(holder)) return holder;
  await rm(join(path, holder), { force: true });
  return undefined;
}

async function tryRename(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
