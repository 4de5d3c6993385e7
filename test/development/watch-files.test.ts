import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { watchFiles } from "../../src/development/watch-files.ts";
import { until } from "../support/until.ts";

let root: string;
let told: string[] = [];
let watcher: { stop(): void };
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "howdah-watch-"));
  await mkdir(join(root, "src/inner"), { recursive: true });
  await mkdir(join(root, "other"));
  await writeFile(join(root, "src/current.sql"), "0");
  watcher = watchFiles(root, ["src"], (paths) => told.push(...paths));
});
afterAll(async () => {
  watcher.stop();
  await rm(root, { recursive: true });
});

async function isTold(path: string, change: () => Promise<unknown>): Promise<void> {
  told = [];
  await change();
  await until(
    async () => told,
    (paths) => paths.includes(path),
    5000,
  );
}

it("a file is heard of however often it is written, replaced, or taken away and made again", async () => {
  const path = join(root, "src/current.sql");
  const replace = async () => {
    await writeFile(`${path}.tmp`, "new");
    await rename(`${path}.tmp`, path);
  };
  const write = () => writeFile(path, String(told.length));
  const makeAgain = async () => {
    await rm(path);
    await write();
  };
  for (const change of [write, replace, write, replace, replace, write, makeAgain, write]) {
    await isTold("src/current.sql", change);
  }
});

it("a folder is heard of however deep, new, or put in the place of another", async () => {
  const write = (path: string) => writeFile(join(root, path), "text");
  await isTold("src/inner/a.ts", () => write("src/inner/a.ts"));
  await isTold("src/new/deep/b.ts", async () => {
    await mkdir(join(root, "src/new/deep"), { recursive: true });
    await write("src/new/deep/b.ts");
  });
  await isTold("src/new/deep/b.ts", () => write("src/new/deep/b.ts"));
  await isTold("src/inner/c.ts", async () => {
    await rm(join(root, "src"), { recursive: true });
    await mkdir(join(root, "src/inner"), { recursive: true });
    await write("src/inner/c.ts");
  });
  await isTold("src/inner/c.ts", () => write("src/inner/c.ts"));
  await write("other/d.ts");
  await write("src/inner/.e.ts");
  await isTold("src/inner/f.ts", () => write("src/inner/f.ts"));
  expect(told).toEqual(["src/inner/f.ts"]);
});
