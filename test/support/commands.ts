import { once } from "node:events";
import { type Running, run } from "./processes.ts";

export interface Told {
  code: number | null;
  output: string;
}

/** A command of a copy of the project, as its npm script runs it. */
export function command(
  root: string,
  [script, ...args]: string[],
  env: Record<string, string> = {},
): Promise<Told> {
  const entry = script?.startsWith("db:")
    ? ["scripts/db.ts", script.slice(3)]
    : [`src/${script}.ts`];
  const flag = "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON";
  const all = [flag, ...entry, ...args.filter((arg) => arg !== "--")];
  return told(run(process.execPath, all, { cwd: root, env }));
}

/** By npm itself, which takes longer. */
export function npm(root: string, args: string[], env: Record<string, string> = {}): Promise<Told> {
  return told(run("npm", ["run", "--silent", ...args], { cwd: root, env }));
}

async function told(running: Running): Promise<Told> {
  // Its end is not yet the end of what it has printed.
  const [code] = (await once(running.child, "close")) as [number | null];
  return { code, output: running.output() };
}
