/**
 * The time as PostgreSQL has it, which is what the ends of tokens are written in. Goes on by this process's
 * monotonic clock from the last time that was heard, so that a system clock that is wrong, or is put right,
 * ends nothing here.
 */
export interface DatabaseClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** To be called where PostgreSQL is asked for the time, and what it returns with the answer: milliseconds since 1970. */
  asking(): (heard: number) => void;
  /** Seconds that the system clock is ahead of PostgreSQL's (behind: below zero); undefined before a time was heard. */
  skew(): number | undefined;
}

/**
 * By the system clock until PostgreSQL has said what it is.
 * @param elapsed milliseconds from whenever; a test that stops the time stops this
 */
export function createDatabaseClock(elapsed = () => performance.now()): DatabaseClock {
  let began: number | undefined;
  const now = () => (began === undefined ? Date.now() : Math.round(began + elapsed()));
  return {
    now,
    asking() {
      const asked = elapsed();
      return (heard) => {
        // Somewhere between the question and the answer: half-way.
        began = heard - (asked + elapsed()) / 2;
      };
    },
    skew: () => (began === undefined ? undefined : (Date.now() - now()) / 1000),
  };
}
