import { setImmediate } from "node:timers/promises";

/**
 * Each turn of the event loop goes to another owner who waits: nobody waits for the many of another. What
 * comes over HTTP goes in between.
 */
export function createTurns(): (owner: string) => Promise<void> {
  /** Whoever is first is next. */
  const waiting = new Map<string, (() => void)[]>();
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    while (waiting.size > 0) {
      await setImmediate();
      const [[owner, theirs]] = waiting as unknown as [[string, (() => void)[]]];
      const begin = theirs.shift();
      waiting.delete(owner);
      if (theirs.length > 0) waiting.set(owner, theirs);
      begin?.();
    }
    isRunning = false;
  }

  return (owner) =>
    new Promise((begin) => {
      const theirs = waiting.get(owner);
      if (theirs) theirs.push(begin);
      else waiting.set(owner, [begin]);
      if (!isRunning) void run();
    });
}
