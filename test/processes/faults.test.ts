import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run, runEntry } from "../support/processes.ts";

let dataDirectory: string;
const ANY_PORT = { PORT: "0", OPS_PORT: "0", WORKER_OPS_PORT: "0", FCM_EMULATOR_PORT: "0" };

beforeAll(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), "howdah-faults-"));
  await chmod(dataDirectory, 0o755);
});
afterAll(() => rm(dataDirectory, { recursive: true, force: true }));

/** The lines that a process printed before it gave up. */
async function failure(entry: string, env: Record<string, string>): Promise<string[]> {
  const running = runEntry(entry, { DATA_DIR: dataDirectory, ...ANY_PORT, ...env });
  expect(await running.ends()).toBe(1);
  return running.output().trim().split("\n");
}

function serverRuns(): boolean {
  return existsSync(join(dataDirectory, "postgres/postmaster.pid"));
}

describe("a process that cannot start says so in one line and leaves nothing running", () => {
  it.each([
    ["src/start.ts", "PORT"],
    ["src/start.ts", "FCM_EMULATOR_PORT"],
    ["src/start.ts", "WORKER_OPS_PORT"],
    ["src/api.ts", "OPS_PORT"],
  ])("%s with %s taken", async (entry, variable) => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const lines = await failure(entry, { [variable]: String(port) });
    taken.close();
    expect(lines).toEqual([
      expect.stringMatching(
        new RegExp(`^howdah \\w+ cannot start: port ${port} is taken.* set ${variable} to another`),
      ),
    ]);
    expect(serverRuns()).toBe(false);
  });

  it.each(["src/start.ts", "src/api.ts", "src/worker.ts", "src/migrate.ts"])(
    "%s with an unreachable database",
    async (entry) => {
      const lines = await failure(entry, { DATABASE_URL: "postgres://u:secret@127.0.0.1:1/x" });
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(/the database at 127.0.0.1:1 is not reachable \(ECONNREFUSED\)/);
      expect(lines[0]).not.toContain("secret");
    },
  );

  it.each(["src/start.ts", "src/api.ts", "src/worker.ts", "src/migrate.ts"])(
    "%s with a wrong setting",
    async (entry) => {
      const lines = await failure(entry, { PORT: "http" });
      expect(lines).toEqual(["These settings are wrong:", "  PORT: must be a port number"]);
    },
  );

  it("src/api.ts on a database that has not been migrated", async () => {
    const { inject } = await import("vitest");
    const lines = await failure("src/api.ts", {
      DATABASE_URL: inject("superuserUrl"),
      AUTHENTICATOR_DATABASE_URL: inject("superuserUrl"),
    });
    expect(lines.at(-1)).toContain("npm run migrate");
  });

  it.each([
    "src/start.ts",
    "src/api.ts",
    "src/worker.ts",
    "src/migrate.ts",
    "src/fcm-emulator.ts",
    "scripts/howdah.ts",
  ])("%s on an older Node.js", async (entry) => {
    const older = run(process.execPath, [
      "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
      "--require",
      join(import.meta.dirname, "../support/older-node.cjs"),
      entry,
    ]);
    expect(await older.ends()).toBe(1);
    expect(older.output()).toMatch(
      /^Howdah needs Node.js 24, this is 20.0.0: run `npm ci`, then .+\n$/,
    );
  });

  const hostNode = oldNode();
  it.runIf(hostNode)("src/start.ts on the host's own Node.js, which is too old", async () => {
    const older = run(hostNode as string, ["src/start.ts"]);
    expect(await older.ends()).toBe(1);
    expect(older.output()).toMatch(/^Howdah needs Node.js 24, this is \d+\.\d+\.\d+: .+\n$/);
  });
});

/** A Node.js of this machine that is older than 24, where it has one. */
function oldNode(): string | undefined {
  const candidates = (process.env.PATH ?? "").split(":").map((folder) => join(folder, "node"));
  return candidates.find((path) => {
    if (path.includes("node_modules") || !existsSync(path)) return false;
    return (
      Number(
        execFileSync(path, ["-p", "process.versions.node"], { encoding: "utf8" }).split(".")[0],
      ) < 24
    );
  });
}
