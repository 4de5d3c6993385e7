/** What a client process saw since it was last asked, told to the one that makes the faults. */
export interface Tally {
  answered: number;
  /** Requests without a useful answer: the code of the error or of the connection, and how often. */
  failed: Record<string, number>;
  /** Titles of items whose creation was acknowledged. */
  items: string[];
  /** What the pushes say that were acknowledged. */
  pushes: string[];
  /** Answers that showed somebody else's row. */
  mixedUp: number;
  /** Sessions that ended though nobody ended them. */
  lostSessions: number;
  /** Own changes that a subscription which stood all the time did not tell. */
  gaps: number;
  events: number;
}

export const emptyTally = (): Tally => ({
  answered: 0,
  failed: {},
  items: [],
  pushes: [],
  mixedUp: 0,
  lostSessions: 0,
  gaps: 0,
  events: 0,
});

/** The first one plus the others. */
export function add(sum: Tally, ...others: Tally[]): Tally {
  for (const other of others) {
    for (const field of ["answered", "mixedUp", "lostSessions", "gaps", "events"] as const) {
      sum[field] += other[field];
    }
    sum.items.push(...other.items);
    sum.pushes.push(...other.pushes);
    for (const [code, count] of Object.entries(other.failed)) {
      sum.failed[code] = (sum.failed[code] ?? 0) + count;
    }
  }
  return sum;
}

/** From the one that makes the faults to a client process, and back. */
export type ToClient = "tally" | "stop";
export type FromClient = { people: number[] } | { tally: Tally };
