import { describe, expect, it } from "vitest";
import { createLanes } from "../../src/push/lanes.ts";

/** Work that ends when the test says so, and in which order it was begun. */
function work() {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  return {
    begun,
    do(item: string) {
      begun.push(item);
      return new Promise<void>((resolve) => ends.set(item, resolve));
    },
    async end(item: string) {
      ends.get(item)?.();
      // Whoever waits for it goes on in microtasks.
      await new Promise(setImmediate);
    },
  };
}
const never = new AbortController().signal;

describe("lanes", () => {
  it("do so many things at once, of all lists together", async () => {
    const { begun, do: perform, end } = work();
    const lanes = createLanes(2);
    const all = Promise.all([
      lanes.run(["a1", "a2"], perform, never),
      lanes.run(["b1"], perform, never),
    ]);
    expect(begun).toEqual(["a1", "a2"]);
    await end("a1");
    expect(begun).toEqual(["a1", "a2", "b1"]);
    await end("a2");
    await end("b1");
    await all;
  });

  it("begin with the list that has the least left", async () => {
    const { begun, do: perform, end } = work();
    const lanes = createLanes(1);
    const all = Promise.all([
      lanes.run(["a1", "a2", "a3"], perform, never),
      lanes.run(["b1", "b2", "b3"], perform, never),
      lanes.run(["c1"], perform, never),
    ]);
    for (const item of ["a1", "c1", "a2", "a3", "b1", "b2", "b3"]) await end(item);
    expect(begun).toEqual(["a1", "c1", "a2", "a3", "b1", "b2", "b3"]);
    await all;
  });

  it("wait for what was begun when the signal is aborted, and begin nothing more", async () => {
    const { begun, do: perform, end } = work();
    const lanes = createLanes(1);
    const stopping = new AbortController();
    let isOver = false;
    const first = lanes.run(["a1", "a2"], perform, stopping.signal).then(() => {
      isOver = true;
    });
    const second = lanes.run(["b1"], perform, stopping.signal);
    stopping.abort();
    await second;
    expect(isOver).toBe(false);
    await end("a1");
    await first;
    await lanes.run(["c1"], perform, stopping.signal);
    await lanes.run([], perform, never);
    expect(begun).toEqual(["a1"]);
  });
});
