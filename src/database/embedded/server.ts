import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Account, giveTo } from "./account.ts";
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

/** A server that this process has started. */
export interface StartedServer {
  pid: number;
  stop(): Promise<void>;
}

/** How long a start or a stop may take, seconds: recovery after a crash included. */
const PATIENCE = 60;
const POLL_INTERVAL = 10;
/** Larger than any system's highest process id. */
const NO_PID = 2 ** 31 - 1;

/**
 * Runs the server as its child, and stops it (SIGINT: PostgreSQL's fast shutdown) when the pipe from
 * our process closes, whatever closes it. The signal is repeated: a server that has just been
 * started does not hear the first. "$@" is the server; the shell ends when it ends, with its code.
 */
const WATCHDOG = `
trap "" PIPE
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
(
  while read -r _; do :; done
  tries=0
  while kill -INT "$server"; do
    sleep 0.05
    tries=$((tries + 1))
    if [ "$tries" -gt ${PATIENCE * 20} ]; then kill -QUIT "$server"; fi
  done
) <&3 3<&- >/dev/null 2>&1 &
guard=$!
exec 3<&-
wait "$server"
code=$?
kill "$guard" 2>/dev/null
exit "$code"
`;

/** The server that runs on this directory; the file of a dead one does not count. */
export async function runningServer(directory: string): Promise<RunningServer | undefined> {
  const lines = (await postmasterFile(directory))?.split("\n") ?? [];
  const pid = Number(lines[0]);
  // A pid comes again after a reboot: it has to be a server, and of this directory.
  if (!(pid > 0) || !isAlive(pid)) return undefined;
  if (!commandLine(pid).includes(`postgres -D ${directory} `)) return undefined;
  return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === "ready" };
}

/**
 * Starts the server and waits until it takes connections. From its first moment it stops with this
 * process, SIGKILL included, and stop() goes the same way.
 * @throws with the last lines of the server's log
 */
export async function startServer(
  server: Server,
  settings: Record<string, string>,
): Promise<StartedServer> {
  const { directory, account, binaries } = server;
  await disownPid(directory);
  const log = join(directory, "server.log");
  const logFile = openSync(log, "w", 0o600);
  giveTo(log, account);
  const options = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const watchdog = spawn(
    "sh",
    ["-c", WATCHDOG, "howdah-postgres", binaries.postgres, "-D", directory, ...options],
    // A session of its own: Ctrl-C reaches us alone, and we stop the server last.
    { ...account, ...quiet(), detached: true, stdio: ["pipe", logFile, logFile] },
  );
  closeSync(logFile);
  const pid = await untilReady(server, watchdog, log);
  // Neither of them keeps this process alive.
  watchdog.unref();
  (watchdog.stdin as Socket).unref();
  return {
    pid,
    async stop() {
      await closePipe(watchdog);
      // Somebody has killed the watchdog.
      if ((await runningServer(directory))?.pid === pid) await stopRunning(server);
    },
  };
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
function quiet() {
  return { cwd: "/", env: { PATH: process.env.PATH ?? "", LC_ALL: "C" } };
}

async function untilReady(server: Server, watchdog: ChildProcess, log: string): Promise<number> {
  await once(watchdog, "spawn");
  const deadline = Date.now() + PATIENCE * 1000;
  while (watchdog.exitCode === null && watchdog.signalCode === null) {
    const running = await runningServer(server.directory);
    if (running?.ready) return running.pid;
    if (Date.now() > deadline) {
      await closePipe(watchdog);
      throw new Error(`not ready after ${PATIENCE} seconds\n${await lastLines(log)}`);
    }
    await delay(POLL_INTERVAL);
  }
  throw new Error(await lastLines(log));
}

async function closePipe(watchdog: ChildProcess): Promise<void> {
  if (watchdog.exitCode !== null || watchdog.signalCode !== null) return;
  watchdog.ref();
  const exited = once(watchdog, "exit");
  watchdog.stdin?.destroy();
  await exited;
}

/**
 * PostgreSQL refuses to start while the process of an old postmaster.pid lives, whatever it is by
 * now. The rest of the file stays: it protects from a dead server's backends that still write.
 */
async function disownPid(directory: string): Promise<void> {
  const file = await postmasterFile(directory);
  if (file === undefined) return;
  await writeFile(join(directory, "postmaster.pid"), file.replace(/^\d+/, String(NO_PID)));
}

async function postmasterFile(directory: string): Promise<string | undefined> {
  try {
    return await readFile(join(directory, "postmaster.pid"), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function lastLines(log: string): Promise<string> {
  const lines = (await readFile(log, "utf8")).trim().split("\n").slice(-8).join("\n");
  return lines === "" ? "PostgreSQL wrote no log." : lines;
}
