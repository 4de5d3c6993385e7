import { readdirSync, readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { withUser } from "../../src/database/connections.ts";
import { type Running, run } from "./processes.ts";
import { copyOfProject } from "./project.ts";
import { until } from "./until.ts";

/** `npm run dev` in a copy of this repository. */
export interface Dev {
  root: string;
  api: string;
  running: Running;
  /** Writes a file of the copy and returns what is printed from then on, once it has this in it. */
  save(path: string, text: string, prints: RegExp): Promise<string>;
  /** The name of a type, if the API has it. */
  typeOf(name: string): Promise<string | undefined>;
  /** As the owner of its database. */
  query<T extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<T[]>;
  /** Does something while a psql, so to speak, is in the midst of a transaction. */
  inTransaction<T>(begin: string, work: () => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

export const ANY_PORT = {
  PORT: "0",
  OPS_PORT: "0",
  WORKER_OPS_PORT: "0",
  FCM_EMULATOR_PORT: "0",
};

export async function startDev(): Promise<Dev> {
  const { root, remove } = await copyOfProject();
  const running = run("npm", ["run", "dev"], { cwd: root, env: ANY_PORT });
  let api: string | undefined;
  try {
    [, api] = await running.prints(/^ {2}API +(http\S+)\/graphql$/m, 150_000);
    await running.prints(/^Watching/m);
  } catch (error) {
    await running.ends("SIGTERM");
    await remove();
    throw error;
  }
  return {
    root,
    api: api as string,
    running,
    async save(path, text, prints) {
      const before = running.output().length;
      await writeFile(join(root, path), text);
      const seen = () => prints.test(running.output().slice(before));
      await until(
        async () => seen() || running.output().slice(before).slice(-2000),
        (answer) => answer === true,
        60_000,
      );
      return running.output().slice(before);
    },
    async typeOf(name) {
      const response = await fetch(`${api}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ query: `{ __type(name: "${name}") { name } }` }),
      });
      const { data } = (await response.json()) as { data: { __type: { name: string } | null } };
      return data.__type?.name;
    },
    async query(text, values) {
      const client = new pg.Client({ connectionString: await ownerUrl(root) });
      await client.connect();
      try {
        return (await client.query(text, values)).rows;
      } finally {
        await client.end();
      }
    },
    async inTransaction(begin, work) {
      const client = new pg.Client({
        connectionString: await ownerUrl(root),
        application_name: "psql",
      });
      await client.connect();
      try {
        await client.query(begin);
        return await work();
      } finally {
        await client.end();
      }
    },
    async stop() {
      if (running.child.exitCode === null) await running.ends("SIGTERM");
      await remove();
    },
  };
}

/** Of the embedded database of a copy. */
export async function ownerUrl(root: string): Promise<string> {
  const port = await readFile(join(root, ".data/postgres.port"), "utf8");
  const password = await readFile(join(root, ".data/secrets/owner-password"), "utf8");
  return withUser(`postgres://127.0.0.1:${port}/howdah`, "howdah_owner", password.trim());
}

/** The processes of a group, and what they hold of the memory, MB. */
export function processesOf(group: number): { pid: number; memory: number }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
        const [state, , processGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        if (Number(processGroup) !== group || state === "Z") return [];
        const [, resident] = /^VmRSS:\s+(\d+)/m.exec(
          readFileSync(`/proc/${pid}/status`, "latin1"),
        ) ?? [undefined, "0"];
        return [{ pid: Number(pid), memory: Number(resident) / 1024 }];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    });
}
