import { runEntry } from "./processes.ts";

export interface Told {
  code: number | null;
  output: string;
}

/** The operator's tool as a real process, on one database. */
export async function howdah(ownerUrl: string, ...args: string[]): Promise<Told> {
  const running = runEntry("scripts/howdah.ts", { DATABASE_URL: ownerUrl }, args);
  return { code: await running.ends(), output: running.output().trimEnd() };
}

/** What it answers to programs. */
export async function howdahJson<T>(ownerUrl: string, ...args: string[]): Promise<T> {
  const { code, output } = await howdah(ownerUrl, ...args, "--json");
  if (code !== 0) throw new Error(`exit ${code}: ${output}`);
  return JSON.parse(output) as T;
}
