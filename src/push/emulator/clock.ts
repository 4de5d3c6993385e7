/** The emulator's clock, which a test may put forward to see what expires. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Puts it forward by seconds. */
  advance(seconds: number): void;
  reset(): void;
}

export function createClock(): Clock {
  let ahead = 0;
  return {
    now: () => Date.now() + ahead,
    advance(seconds) {
      ahead += seconds * 1000;
    },
    reset() {
      ahead = 0;
    },
  };
}
