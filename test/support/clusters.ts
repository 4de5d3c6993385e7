import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll } from "vitest";
import { startEmbeddedCluster } from "../../src/database/embedded/cluster.ts";
import { isAlive } from "../../src/database/embedded/process.ts";
import { queryOnce } from "./query-once.ts";
import { until } from "./until.ts";

// For tests of the embedded cluster: folders and processes that are gone after each test.

export const CLUSTER = resolve("src/database/embedded/cluster.ts");
/** What is to be removed after each test. */
export const folders: string[] = [];
const children: ChildProcess[] = [];
let made: string;

/** To be called at the top of a test file. */
export function useClusters(): void {
  beforeAll(async () => {
    made = await mkdtemp(join(tmpdir(), "howdah-embedded-"));
    await chmod(made, 0o755);
    await (await startEmbeddedCluster({ dataDirectory: made })).stop();
  });
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) await kill(child, "SIGKILL");
    }
    for (const path of folders.splice(0)) await rm(path, { recursive: true, force: true });
  });
  afterAll(() => rm(made, { recursive: true, force: true }));
}

export async function folder(mode = 0o755): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "howdah-embedded-"));
  await chmod(path, mode);
  folders.push(path);
  return path;
}

/** A folder with a cluster in it, stopped: quicker than initdb. */
export async function folderWithCluster(): Promise<string> {
  const path = await folder();
  execFileSync("cp", ["-a", `${made}/.`, path]);
  // Each its own: the port is on record there.
  await rm(join(path, "postgres.port"));
  return path;
}

export async function query(url: string, text: string): Promise<unknown[]> {
  return (await queryOnce(url, text)).rows;
}

export interface Elsewhere {
  uid?: number;
  /** A shell command before it, such as a limit. */
  before?: string;
}

/** Another process that starts or joins a cluster, and then waits. */
export async function startElsewhere(dataDirectory: string, options: Elsewhere = {}) {
  const child = spawnElsewhere(dataDirectory, options);
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  return { child, url: String(line).trim() };
}

/** The same, without waiting for what it says: the cluster's URL or the error. */
export function spawnElsewhere(dataDirectory: string, { uid, before = ":" }: Elsewhere = {}) {
  const child = spawn(
    "sh",
    [
      "-c",
      `${before}; exec "$0" "$@"`,
      process.execPath,
      "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
      "--input-type=module",
      "--eval",
      `const { startEmbeddedCluster } = await import(${JSON.stringify(CLUSTER)});
       try {
         const cluster = await startEmbeddedCluster({ dataDirectory: ${JSON.stringify(dataDirectory)} });
         process.on("SIGTERM", async () => { await cluster.stop(); process.exit(0); });
         process.on("SIGINT", () => console.log("interrupted"));
         setInterval(() => {}, 1000);
         console.log(cluster.superuserUrl());
       } catch (error) {
         console.log(error.message);
       }`,
    ],
    {
      detached: true,
      stdio: ["ignore", "pipe", "inherit"],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    },
  );
  children.push(child);
  return child;
}

export async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
}

export async function untilDead(pid: number): Promise<void> {
  await until(
    async () => isAlive(pid),
    (alive) => !alive,
  );
}

export async function serverPid(directory: string): Promise<number> {
  return Number((await readFile(join(directory, "postmaster.pid"), "utf8")).split("\n")[0]);
}
