/** One line of a table: what was measured, and what it should be. */
export interface Figure {
  name: string;
  value: number;
  /** As in `ms`, `/s`; empty for what has none. */
  unit: string;
  /** To the reference of the same run: what a noisy machine does not change. */
  ratio?: number;
  /** Of the ratio where there is one, else of the value. */
  target?: { atLeast?: number; atMost?: number };
}

export interface BenchOptions {
  /** Ends, last first, what the bench started: always, whatever happens. */
  stack: AsyncDisposableStack;
  /** Devices of one notification in push-pipeline. */
  devices: number;
  /** Folder for the CPU profiles of the processes that are started, if any is wanted. */
  cpuProfiles: string | undefined;
}

/** What a file of bench/ exports as default. */
export type Bench = (options: BenchOptions) => Promise<Figure[]>;

/** Undefined where there is no target. */
export function isMet({ value, ratio, target }: Figure): boolean | undefined {
  if (!target) return undefined;
  const measured = ratio ?? value;
  return measured >= (target.atLeast ?? -Infinity) && measured <= (target.atMost ?? Infinity);
}
