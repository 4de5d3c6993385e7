import { resolve } from "node:path";
import { expect, it } from "vitest";
import { run } from "../support/processes.ts";

async function cacheOf(env: Record<string, string> = {}): Promise<string> {
  const asked = ["--require", "./src/boot.cjs", "-p", "require('module').getCompileCacheDir()"];
  const running = run(process.execPath, asked, { env });
  expect(await running.ends()).toBe(0);
  return running.output();
}

it("what Node.js compiles is kept below node_modules, or where NODE_COMPILE_CACHE says", async () => {
  expect(await cacheOf()).toContain(resolve("node_modules/.cache/howdah"));
  const other = resolve("node_modules/.cache/other");
  expect(await cacheOf({ NODE_COMPILE_CACHE: other })).toContain(other);
});

it("Node.js goes on without where it cannot be kept", async () => {
  expect(await cacheOf({ NODE_COMPILE_CACHE: resolve("package.json") })).toBe("undefined\n");
});
