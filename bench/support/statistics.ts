/** The sample below which this share (0 to 1) of the samples lies: nearest rank. */
export function quantile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new Error("There are no samples.");
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number;
}

export const median = (samples: readonly number[]) => quantile(samples, 0.5);
