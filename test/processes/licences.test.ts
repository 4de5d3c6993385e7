import { expect, it } from "vitest";
import { runEntry } from "../support/processes.ts";

it("every package has a licence that somebody has looked at", async () => {
  const running = runEntry("scripts/licences.ts");
  expect(await running.ends()).toBe(0);
  expect(running.output()).toMatch(/^MIT +\d+$/m);
});
