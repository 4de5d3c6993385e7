/** How many messages met which end since the start, or since they were last forgotten. */
export interface Stats {
  count(outcome: string): void;
  all(): Record<string, number>;
  clear(): void;
}

export function createStats(): Stats {
  const counts = new Map<string, number>();
  return {
    count: (outcome) => counts.set(outcome, (counts.get(outcome) ?? 0) + 1),
    all: () => Object.fromEntries(counts),
    clear: () => counts.clear(),
  };
}
