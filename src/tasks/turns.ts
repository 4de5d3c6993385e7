import pLimit from "p-limit";

/**
 * Turns, so many at once, first come first served. One is over when it is ended, or after `patience` milliseconds:
 * who takes longer goes on, and holds nobody up.
 */
export function createTurns(count: number, patience: number): () => Promise<() => void> {
  const limit = pLimit(count);
  return () =>
    new Promise((begin) => {
      void limit(
        () =>
          new Promise<void>((end) => {
            const timer = setTimeout(end, patience);
            begin(() => {
              clearTimeout(timer);
              end();
            });
          }),
      );
    });
}
