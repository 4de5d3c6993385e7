import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../support/processes.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "howdah-suite-"));
  await symlink(resolve("node_modules"), join(folder, "node_modules"));
  await writeFile(
    join(folder, "vitest.config.mts"),
    `export default { test: { include: ["*.test.ts"], reporters: [${JSON.stringify(
      resolve("test/support/summary-reporter.ts"),
    )}] } };`,
  );
  await writeFile(
    join(folder, "thing.test.ts"),
    `import { describe, it } from "vitest";
     describe.skipIf(true)("without what it needs", () => it("is skipped", () => {}));
     it("runs", () => {});`,
  );
});
afterAll(() => rm(folder, { recursive: true }));

async function suite(env: Record<string, string>) {
  const running = run(process.execPath, [resolve("node_modules/vitest/vitest.mjs"), "run"], {
    cwd: folder,
    env,
  });
  return { code: await running.ends(), output: running.output() };
}

describe("the suite", () => {
  it("names what it skips, and ends with its sum", async () => {
    expect(await suite({})).toEqual({
      code: 0,
      output: "skipped thing.test.ts: without what it needs > is skipped\n1 passed, 0 failed\n",
    });
  });

  it("has failed in CI where anything was skipped", async () => {
    expect(await suite({ CI: "true" })).toEqual({
      code: 1,
      output: "skipped thing.test.ts: without what it needs > is skipped\n1 passed, 1 failed\n",
    });
  });

  it("has failed in CI where there is no browser to walk the console with", async () => {
    const look = (env: Record<string, string>) =>
      run(process.execPath, ["test/support/chromium.ts"], { env: { PATH: "", ...env } });
    expect(await look({}).ends()).toBe(0);
    const inCi = look({ CI: "true" });
    expect(await inCi.ends()).toBe(1);
    expect(inCi.output()).toContain("install chromium, or name one in CHROMIUM.");
  });
});
