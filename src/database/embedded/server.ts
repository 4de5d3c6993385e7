import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Account } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { commandLine, isAlive } from "./process.ts";

export { isAlive } from "./process.ts";

/** A data directory and who runs it. */
export interface Server {
  directory: string;
  account: Account;
  binaries: Binaries;
}

/** What postmaster.pid tells of a server that lives. */
export interface RunningServer {
  pid: number;
  port: number;
  ready: boolean;
}

/** How long a start or a stop may take, seconds: recovery after a crash included. */
export const PATIENCE = 60;

/** The server that runs on this directory; the file of a dead one does not count. */
export async function runningServer(directory: string): Promise<RunningServer | undefined> {
  const lines = (await postmasterFile(directory))?.split("\n") ?? [];
  const pid = Number(lines[0]);
  // A pid comes again after a reboot: it has to be a server, and of this directory.
  if (!(pid > 0) || !isAlive(pid)) return undefined;
  if (!commandLine(pid).includes(`postgres -D ${directory} `)) return undefined;
  return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === "ready" };
}

/** Stops a server that this process has not started. */
export async function stopRunning({ directory, account, binaries }: Server): Promise<void> {
  const args = ["stop", "-m", "fast", "-w", "-t", String(PATIENCE), "-D", directory];
  const { code, output } = await runProgram(binaries.pgCtl, args, account);
  // It may have been on its way out, and gone before we asked.
  if (code !== 0 && (await runningServer(directory)) !== undefined) {
    throw new Error(`the embedded PostgreSQL in ${directory} does not stop: ${output.trim()}`);
  }
}

/** Runs a program to its end as the account, in a session of its own. */
export async function runProgram(
  program: string,
  args: string[],
  account: Account,
): Promise<{ code: number; output: string }> {
  const child = spawn(program, args, {
    ...account,
    ...quiet(),
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const collect = (chunk: Buffer) => {
    output += chunk;
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const [code] = (await once(child, "close")) as [number | null];
  return { code: code ?? 1, output };
}

/** English messages, and no variable of ours that the server would take for a setting. */
export function quiet() {
  return { cwd: "/", env: { PATH: process.env.PATH ?? "", LC_ALL: "C" } };
}

/** The text of postmaster.pid, if there is one. */
export async function postmasterFile(directory: string): Promise<string | undefined> {
  try {
    return await readFile(join(directory, "postmaster.pid"), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
