import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Whether a process lives; one that has ended and that nobody has waited for does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  if (process.platform !== "linux") return true;
  const [state] = linuxStatus(pid);
  return state !== undefined && state !== "Z" && state !== "X";
}

/**
 * A name for a process that no later one shares: the pid alone comes again after a reboot, and in a
 * container it is the same at each start. Undefined for a process that does not live.
 */
export function processMark(pid: number = process.pid): string | undefined {
  if (!isAlive(pid)) return undefined;
  if (process.platform === "linux") return `${pid}-${bootId()}-${linuxStatus(pid)[19]}`;
  const started = ps(pid, "lstart=");
  return started === "" ? undefined : `${pid}-${started.replace(/\W+/g, "")}`;
}

/** Whether the process lives that processMark() named so. */
export function isMarkAlive(mark: string): boolean {
  const pid = Number.parseInt(mark, 10);
  return pid > 0 && processMark(pid) === mark;
}

/** The words of a process's command line, with a space between; empty where there is none. */
export function commandLine(pid: number): string {
  if (process.platform !== "linux") return ps(pid, "args=");
  return readProc(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
}

/** The fields of /proc/<pid>/stat that follow the program's name: state first, start time 20th. */
function linuxStatus(pid: number): string[] {
  const line = readProc(`/proc/${pid}/stat`);
  return line === "" ? [] : line.slice(line.lastIndexOf(")") + 2).split(" ");
}

function bootId(): string {
  return readProc("/proc/sys/kernel/random/boot_id").slice(0, 8);
}

function readProc(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    // ESRCH: it ended between open and read.
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return "";
    throw error;
  }
}

function ps(pid: number, column: string): string {
  const env = { PATH: process.env.PATH ?? "", LC_ALL: "C", TZ: "UTC" };
  return spawnSync("ps", ["-p", String(pid), "-o", column], {
    encoding: "utf8",
    env,
  }).stdout.trim();
}
