import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll } from "vitest";
import { run } from "./processes.ts";
import { copyOfProject } from "./project.ts";

/** A copy of this project whose commands are run; current.sql is as it was after each test. */
export function useProject() {
  let copy: Awaited<ReturnType<typeof copyOfProject>>;
  const path = (file: string) => join(copy.root, file);
  const current = () => readFile(path("migrations/current.sql"), "utf8");

  async function node(...args: string[]) {
    const running = run(process.execPath, args, { cwd: copy.root, env: project.env });
    // Its end is not yet the end of what it has printed.
    const [code] = await once(running.child, "close");
    return { code, output: running.output() };
  }

  const project = {
    /** current.sql before anything is made. */
    empty: "",
    /** Settings of the commands. */
    env: {} as Record<string, string>,
    path,
    current,
    howdah: (...args: string[]) =>
      node("--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", "scripts/howdah.ts", ...args),
    /** One of node_modules/.bin. */
    tool: (name: string, ...args: string[]) => node(join("node_modules/.bin", name), ...args),
  };
  beforeAll(async () => {
    copy = await copyOfProject();
    project.empty = await current();
  });
  afterEach(() => writeFile(path("migrations/current.sql"), project.empty));
  afterAll(() => copy.remove());
  return project;
}
