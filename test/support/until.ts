import { setTimeout as delay } from "node:timers/promises";

/**
 * Asks until the answer is what was waited for, or fails with the last one. The time-out is a bound for what
 * hangs, not for what is slow.
 */
export async function until<T>(
  ask: () => Promise<T>,
  isEnough: (answer: T) => boolean,
  timeout = 60_000,
): Promise<T> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const answer = await ask();
    if (isEnough(answer)) return answer;
    if (Date.now() > deadline) {
      throw new Error(`Not within ${timeout} ms; the last answer was ${JSON.stringify(answer)}.`);
    }
    await delay(20);
  }
}
