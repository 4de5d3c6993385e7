import { mkdir, readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { type Bench, type BenchOptions, type Figure, isMet } from "./bench.ts";
import { writeToPage } from "./page.ts";
import { formatTable } from "./table.ts";

const BENCHES = resolve(import.meta.dirname, "..");
/** What a bench may take, seconds. */
const TIME_LIMIT = 600;
/** Devices that the time limit is meant for; more get more time in proportion. */
const DEVICES = 20_000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

interface Report {
  bench: string;
  figures: (Figure & { met: boolean | undefined })[];
  error?: string;
}

/** `npm run bench`: exit 0 where every bench came to an end, whatever it measured. */
export async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      devices: { type: "string", default: String(DEVICES) },
      "cpu-prof": { type: "string" },
      write: { type: "boolean", default: false },
    },
  });
  const devices = Number(values.devices);
  const names = await benchNames();
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0 || !Number.isInteger(devices) || devices < 1000) {
    console.error(
      `usage: npm run bench -- [${names.join(" | ")}]... [--devices N (1000 or more)] [--json] [--write] [--cpu-prof FOLDER]`,
    );
    process.exit(2);
  }
  const cpuProfiles = values["cpu-prof"] === undefined ? undefined : resolve(values["cpu-prof"]);
  if (cpuProfiles !== undefined) await mkdir(cpuProfiles, { recursive: true });

  const reports: Report[] = [];
  for (const name of positionals.length > 0 ? positionals : names) {
    const report = await runBench(name, { devices, cpuProfiles });
    reports.push(report);
    if (values.write && !report.error) {
      await writeToPage(name, report.figures, aboutRun(name, devices));
    }
    if (!values.json && !report.error) console.log(`\n${formatTable(name, report.figures)}`);
  }
  if (values.json) {
    const { version: node } = process;
    const run = { date: new Date().toISOString(), node, cores: availableParallelism() };
    console.log(JSON.stringify({ ...run, benches: reports }, null, 2));
  }
  process.exit(reports.some(({ error }) => error !== undefined) ? 1 : 0);
}

/** When and where it was measured. */
function aboutRun(name: string, devices: number): string {
  const date = new Date().toLocaleDateString("en-GB", { dateStyle: "long", timeZone: "UTC" });
  const of = name === "push-pipeline" ? `, ${devices.toLocaleString("en")} devices` : "";
  return `${date}, ${availableParallelism()} cores, Node.js ${process.version.slice(1)}${of}:`;
}

async function benchNames(): Promise<string[]> {
  const files = (await readdir(BENCHES)).filter((file) => file.endsWith(".ts"));
  return files.map((file) => basename(file, ".ts")).filter((name) => name !== "run");
}

async function runBench(name: string, options: Omit<BenchOptions, "stack">): Promise<Report> {
  const url = pathToFileURL(join(BENCHES, `${name}.ts`)).href;
  const { default: bench } = (await import(url)) as { default: Bench };
  const stack = new AsyncDisposableStack();
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= stack.disposeAsync();
    return closing;
  };
  let isInterrupted = false;
  const leave = (code: number) => void close().finally(() => process.exit(code));
  // As often as it comes: npm passes on the Ctrl-C that the terminal has sent to us already.
  const onSignal = () => {
    isInterrupted = true;
    leave(130);
  };
  const onCrash = (error: unknown) => {
    console.error(`bench ${name} crashed:`, error);
    leave(1);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  process.on("uncaughtException", onCrash);
  const limit = TIME_LIMIT * Math.max(1, options.devices / DEVICES);
  const timeUp = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => timeUp.reject(new Error(`Not within ${limit} seconds.`)),
    limit * 1000,
  );
  try {
    const figures = await Promise.race([bench({ ...options, stack }), timeUp.promise]);
    return { bench: name, figures: figures.map((figure) => ({ ...figure, met: isMet(figure) })) };
  } catch (error) {
    // An interrupt ends what the bench talks to: its errors are of no interest then.
    if (!isInterrupted) console.error(`bench ${name} failed:`, error);
    return { bench: name, figures: [], error: String(error) };
  } finally {
    clearTimeout(timer);
    await close();
    if (isInterrupted) process.exit(130);
    for (const signal of SIGNALS) process.off(signal, onSignal);
    process.off("uncaughtException", onCrash);
  }
}
