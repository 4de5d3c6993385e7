import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Account } from "./account.ts";
import type { Binaries } from "./binaries.ts";

/** A data directory and who runs it. */
export interface Server {
  directory: string;
  account: Account;
  binaries: Binaries;
}

/** What postmaster.pid tells of a server whose process lives. */
export interface RunningServer {
  pid: number;
  port: number;
  ready: boolean;
}

/** How long a start or a stop may take, seconds: recovery after a crash included. */
const PATIENCE = 60;
const POLL_INTERVAL = 25;

/** The server that runs on this directory, or undefined; a dead one's file does not count. */
export async function runningServer(directory: string): Promise<RunningServer | undefined> {
  let lines: string[];
  try {
    lines = (await readFile(join(directory, "postmaster.pid"), "utf8")).split("\n");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const pid = Number(lines[0]);
  if (!(pid > 0) || !isAlive(pid)) return undefined;
  return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === "ready" };
}

/** Waits for a condition on the server; undefined when time is up. */
export async function waitFor(
  server: Pick<Server, "directory">,
  condition: (running: RunningServer | undefined) => boolean,
  seconds = PATIENCE,
): Promise<boolean> {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    if (condition(await runningServer(server.directory))) return true;
    await delay(POLL_INTERVAL);
  }
  return false;
}

/** Starts the server and waits until it takes connections. */
export async function startServer(
  server: Server,
  port: number,
  settings: Record<string, string>,
): Promise<void> {
  const { directory, account, binaries } = server;
  const log = join(directory, "server.log");
  await rm(log, { force: true });
  const options = Object.entries({
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    port: String(port),
    max_connections: "200",
    log_timezone: "UTC",
    timezone: "UTC",
    ...settings,
  }).map(([name, value]) => `-c ${name}='${value}'`);
  const { code } = await runProgram(
    binaries.pgCtl,
    ["start", "-w", "-t", String(PATIENCE), "-D", directory, "-l", log, "-o", options.join(" ")],
    account,
  );
  if (code !== 0) throw new Error(await lastLines(log));
}

/**
 * Stops the server when the pipe to this process closes, whatever closes it: stop(), the end of the
 * process, SIGKILL. Started before the server, so that there is no moment without it.
 */
export function watchOver(server: Server): { stop(): Promise<void> } {
  const { directory, account, binaries } = server;
  const watchdog: ChildProcess = spawn(
    "sh",
    [
      "-c",
      `cat > /dev/null; exec "$0" stop -m fast -w -t ${PATIENCE} -D "$1"`,
      binaries.pgCtl,
      directory,
    ],
    // A process group of its own: Ctrl-C reaches us alone, and we stop the server last.
    { ...account, cwd: "/", detached: true, stdio: ["pipe", "ignore", "ignore"] },
  );
  const exited = once(watchdog, "exit");
  const pipe = watchdog.stdin as Socket;
  // Neither of them keeps this process alive.
  watchdog.unref();
  pipe.unref();
  return {
    async stop() {
      watchdog.ref();
      pipe.end();
      await exited;
    },
  };
}

/** Runs a program to its end as the account, in a process group of its own. */
export async function runProgram(
  program: string,
  args: string[],
  account: Account,
): Promise<{ code: number; output: string }> {
  const child = spawn(program, args, {
    ...account,
    cwd: "/",
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH ?? "", LC_ALL: "C" },
  });
  let output = "";
  const collect = (chunk: Buffer) => {
    output += chunk;
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  // Not "close": the server inherits the pipes and outlives pg_ctl.
  const [code] = (await once(child, "exit")) as [number | null];
  child.stdout.destroy();
  child.stderr.destroy();
  return { code: code ?? 1, output };
}

/** A free port of 127.0.0.1: this one if it is, else any. */
export async function freePort(preferred: number): Promise<number> {
  for (const port of preferred > 0 ? [preferred, 0] : [0]) {
    const probe = createServer();
    try {
      probe.listen(port, "127.0.0.1");
      await once(probe, "listening");
      const { port: found } = probe.address() as AddressInfo;
      return found;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    } finally {
      probe.close();
    }
  }
  throw new Error("There is no free port on 127.0.0.1.");
}

/** Whether a process lives; one that has ended and that nobody has waited for does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  try {
    const status = readFileSync(`/proc/${pid}/stat`, "latin1");
    return !/\) [ZX] /.test(status);
  } catch {
    // No /proc here (macOS), or gone since: kill() above has said what can be known.
    return process.platform !== "linux";
  }
}

async function lastLines(log: string): Promise<string> {
  try {
    const lines = (await readFile(log, "utf8")).trim().split("\n");
    return lines.slice(-5).join("\n");
  } catch {
    return "PostgreSQL wrote no log.";
  }
}
