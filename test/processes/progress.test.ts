import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { createProgress } from "../../scripts/progress.ts";

function terminal(isTTY: boolean) {
  const written: string[] = [];
  const stream = { isTTY, write: (text: string) => written.push(text) };
  return { written, stream: stream as unknown as NodeJS.WriteStream };
}

it("says on a terminal how far it is, after a second, and leaves no trace", async () => {
  const { written, stream } = terminal(true);
  const progress = createProgress(stream);
  progress.say("500 jobs");
  expect(written).toEqual([]);
  await delay(1200);
  expect(written.join()).toContain("500 jobs … 1 s");
  progress.say("1000 jobs");
  expect(written.at(-1)).toContain("1000 jobs");
  progress.end();
  expect(written.at(-1)).toBe("\r\x1b[K");
});

it("says nothing where nobody watches", async () => {
  const { written, stream } = terminal(false);
  const progress = createProgress(stream);
  progress.say("500 jobs");
  await delay(1200);
  progress.end();
  expect(written).toEqual([]);
});
