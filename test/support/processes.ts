import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import packageJson from "../../package.json" with { type: "json" };

const { scripts: npmScripts } = packageJson;

/** What an ended process has printed is waited for so long, milliseconds. */
const LAST_WORDS = 1000;

export interface Running {
  child: ChildProcess;
  /** All that it has printed so far. */
  output(): string;
  /** Waits for this in the output; rejects with all of it when the process ends or time is up. */
  prints(pattern: RegExp, timeout?: number): Promise<RegExpMatchArray>;
  /** Sends a signal, if any, and waits for the end. */
  ends(signal?: NodeJS.Signals): Promise<number | null>;
}

/** A process of ours, in a process group of its own and with no setting of this one's environment. */
export function run(
  command: string,
  args: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Running {
  const child = spawn(command, args, {
    cwd: options.cwd,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...options.env },
  });
  let output = "";
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk;
      for (const listener of listeners) listener();
    });
  }
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  return {
    child,
    output: () => output,
    prints: (pattern, timeout = 60_000) =>
      new Promise((resolve, reject) => {
        const check = () => {
          const match = pattern.exec(output);
          if (!match) return;
          done();
          resolve(match);
        };
        const fail = (reason: string) => () => {
          done();
          reject(new Error(`${reason} before it printed ${pattern}:\n${output}`));
        };
        const timer = setTimeout(fail("Time was up"), timeout);
        // Its last words come after its end; never, where a child of its own keeps the pipes open.
        const onExit = () => {
          const ended = fail("It ended");
          child.once("close", ended);
          setTimeout(ended, LAST_WORDS);
        };
        const done = () => {
          clearTimeout(timer);
          listeners.delete(check);
          child.off("exit", onExit);
        };
        listeners.add(check);
        child.once("exit", onExit);
        check();
      }),
    async ends(signal) {
      if (signal) child.kill(signal);
      const [code] =
        child.exitCode === null && child.signalCode === null ? await exited : [child.exitCode];
      return code;
    },
  };
}

/** Our entry points with the Node.js that runs the tests, and the flags of their npm scripts. */
export function runEntry(
  entry: string,
  env: Record<string, string> = {},
  args: string[] = [],
  nodeFlags: string[] = [],
): Running {
  return run(process.execPath, [...nodeFlags, ...nodeFlagsOf(entry), entry, ...args], { env });
}

/** Node.js's flags: of an entry point those of its npm script, of any other file none that tunes it. */
export function nodeFlagsOf(file: string): string[] {
  const script = Object.values(npmScripts).find((text) =>
    file.endsWith(text.split(" ").at(-1) ?? ""),
  );
  return (script ?? npmScripts.bench).match(/--\S+/g) ?? [];
}
