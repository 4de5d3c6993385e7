import { Console } from "node:console";
import { Writable } from "node:stream";
import { callTool } from "../../scripts/tool.ts";
import { runEntry } from "./processes.ts";

export interface Told {
  code: number | null;
  output: string;
}

/** A command of the operator's tool, on one database. */
export async function howdah(ownerUrl: string, ...args: string[]): Promise<Told> {
  let output = "";
  const stream = new Writable({
    write(chunk, _encoding, done) {
      output += chunk;
      done();
    },
  });
  const code = await callTool(args, { DATABASE_URL: ownerUrl }, new Console(stream, stream));
  return { code, output: output.trimEnd() };
}

/** The same as a process. */
export async function howdahProcess(ownerUrl: string, ...args: string[]): Promise<Told> {
  const running = runEntry("scripts/howdah.ts", { DATABASE_URL: ownerUrl }, args);
  return { code: await running.ends(), output: running.output().trimEnd() };
}

/** What it answers to programs. */
export async function howdahJson<T>(ownerUrl: string, ...args: string[]): Promise<T> {
  const { code, output } = await howdah(ownerUrl, ...args, "--json");
  if (code !== 0) throw new Error(`exit ${code}: ${output}`);
  return JSON.parse(output) as T;
}
