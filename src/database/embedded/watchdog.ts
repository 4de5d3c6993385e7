import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { giveTo } from "./account.ts";
import {
  PATIENCE,
  postmasterFile,
  quiet,
  runningServer,
  type Server,
  stopRunning,
} from "./server.ts";

/** A server that this process has started. */
export interface StartedServer {
  pid: number;
  stop(): Promise<void>;
}

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

async function lastLines(log: string): Promise<string> {
  const lines = (await readFile(log, "utf8")).trim().split("\n").slice(-8).join("\n");
  return lines === "" ? "PostgreSQL wrote no log." : lines;
}
