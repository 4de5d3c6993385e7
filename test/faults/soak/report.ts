import { quantile } from "../../../bench/support/statistics.ts";
import { add, emptyTally, type Tally } from "./tally.ts";

/** One kind of fault, and what came of it. */
export interface Row {
  name: string;
  times: number;
  tally: Tally;
  /** Seconds from its end until all were ready again. */
  recovery: number[];
  /** Acknowledged, and not there. */
  lostItems: string[];
  lostPushes: string[];
}

/** A row for each kind, in the order in which they came first. */
export function sumUp(rows: Row[]): Row[] {
  const sums = new Map<string, Row>();
  for (const row of rows) {
    const sum = sums.get(row.name);
    if (!sum) {
      sums.set(row.name, { ...row, tally: add(emptyTally(), row.tally) });
      continue;
    }
    sum.times += row.times;
    add(sum.tally, row.tally);
    sum.recovery.push(...row.recovery);
    sum.lostItems.push(...row.lostItems);
    sum.lostPushes.push(...row.lostPushes);
  }
  return [...sums.values()];
}

/** Markdown. */
export function formatTable(rows: Row[]): string {
  const lines = rows.map(({ name, times, tally, recovery, lostItems, lostPushes }) =>
    [
      name,
      times,
      tally.answered,
      sum(Object.values(tally.failed)),
      recovery.length > 0 ? Math.max(...recovery).toFixed(1) : "",
      lostItems.length,
      lostPushes.length,
      tally.mixedUp,
      tally.lostSessions,
      tally.gaps,
    ].join(" | "),
  );
  return [
    "| fault | times | answered | not answered | ready again, s | lost writes | lost pushes | mixed up | lost sessions | silent gaps |",
    `|---|${"---:|".repeat(9)}`,
    ...lines.map((line) => `| ${line} |`),
  ].join("\n");
}

/** What the table does not say. */
export function about(
  rows: Row[],
  memory: number[],
  { minutes, every }: { minutes: number; every: number },
): string {
  const all = add(emptyTally(), ...rows.map(({ tally }) => tally));
  const failed = Object.entries(all.failed)
    .sort(([, a], [, b]) => b - a)
    .map(([code, count]) => `${code} ${count}`)
    .join(", ");
  const { middle, last } = thirds(memory);
  return [
    `${minutes} minutes, a fault every ${every} s: ${all.items.length} acknowledged writes, ${all.pushes.length} pushes, ${all.events} events.`,
    `What was not answered: ${failed || "nothing"}.`,
    `Memory of an API process and a worker together: ${middle.toFixed(0)} MB in the middle third, ${last.toFixed(0)} MB in the last one (× ${(last / middle).toFixed(2)}).`,
  ].join("\n");
}

/** Whether the last third of a run took no more than a tenth more than the middle one. */
export function isFlat(memory: number[]): boolean {
  const { middle, last } = thirds(memory);
  return last <= 1.1 * middle;
}

function thirds(memory: number[]): { middle: number; last: number } {
  const third = Math.floor(memory.length / 3);
  return {
    middle: quantile(memory.slice(third, 2 * third), 0.5),
    last: quantile(memory.slice(2 * third), 0.5),
  };
}

const sum = (numbers: number[]): number => numbers.reduce((total, number) => total + number, 0);
