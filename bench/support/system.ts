import { readFile, writeFile } from "node:fs/promises";
import { setPriority } from "node:os";
import type { Pool } from "pg";

/** Linux counts CPU time in these, seconds. */
const CLOCK_TICK = 0.01;

/** The most memory that a process has held so far (VmHWM), MB. Linux only. */
export async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

/** CPU time that a process has used, seconds. Linux only. */
export async function cpuTime(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // utime and stime: the 14th and 15th field, counted behind the name in brackets.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK;
}

/** CPU time of the backends that now serve one application, all of them together, seconds. */
export async function backendCpuTime(owner: Pool, application: string): Promise<number> {
  const { rows } = await owner.query<{ pid: number }>(
    "select pid from pg_stat_activity where application_name = $1",
    [application],
  );
  const times = await Promise.all(rows.map(({ pid }) => cpuTime(pid)));
  return times.reduce((sum, seconds) => sum + seconds, 0);
}

/** A process's CPU weight in nice values: each step up is a quarter less (sched(7)); 3 is half, 19 what others leave. */
export async function beNice(pid: number, nice: number): Promise<void> {
  setPriority(pid, nice);
  // Where Linux groups processes by session (sched(7), "The autogroup feature"), that of the group is what counts.
  await writeFile(`/proc/${pid}/autogroup`, String(nice)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}
