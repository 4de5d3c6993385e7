import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import pg from "pg";
import { afterEach, describe, expect, it } from "vitest";
import { startEmbeddedCluster } from "../../src/database/embedded/cluster.ts";
import { isAlive } from "../../src/database/embedded/server.ts";
import { until } from "../support/until.ts";

const CLUSTER = resolve("src/database/embedded/cluster.ts");
const folders: string[] = [];
const children: ChildProcess[] = [];

async function folder(mode = 0o755): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "howdah-embedded-"));
  await chmod(path, mode);
  folders.push(path);
  return path;
}

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  }
  for (const path of folders.splice(0)) await rm(path, { recursive: true, force: true });
});

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

/** Another process that starts or joins a cluster, and then waits. */
async function startElsewhere(dataDirectory: string, uid?: number) {
  const child = spawn(
    process.execPath,
    [
      "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
      "--input-type=module",
      "--eval",
      `const { startEmbeddedCluster } = await import(${JSON.stringify(CLUSTER)});
       const cluster = await startEmbeddedCluster({ dataDirectory: ${JSON.stringify(dataDirectory)} });
       console.log(cluster.superuserUrl());
       setInterval(() => {}, 1000);
       process.on("SIGTERM", async () => { await cluster.stop(); process.exit(0); });`,
    ],
    { stdio: ["ignore", "pipe", "inherit"], ...(uid === undefined ? {} : { uid, gid: uid }) },
  );
  children.push(child);
  const [url] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  return { child, url: String(url).trim() };
}

async function serverPid(directory: string): Promise<number> {
  return Number((await readFile(join(directory, "postmaster.pid"), "utf8")).split("\n")[0]);
}

describe("the embedded cluster", () => {
  it("keeps its data, password and port over a restart, and listens on loopback with a password only", async () => {
    const dataDirectory = await folder();
    const first = await startEmbeddedCluster({ dataDirectory });
    await query(first.superuserUrl(), "create table kept as select 7 as n");
    const [settings] = await query(
      first.superuserUrl(),
      `select current_setting('server_version_num')::int / 10000 as major,
         current_setting('listen_addresses') as addresses, current_setting('server_encoding') as encoding,
         (select count(*)::int from pg_hba_file_rules where auth_method <> 'scram-sha-256') as without_password`,
    );
    expect(settings).toEqual({
      major: 18,
      addresses: "127.0.0.1",
      encoding: "UTF8",
      without_password: 0,
    });
    const wrong = first.superuserUrl().replace(/:[^:@/]+@/, ":wrong@");
    await expect(query(wrong, "select 1")).rejects.toMatchObject({ code: "28P01" });
    await first.stop();
    const second = await startEmbeddedCluster({ dataDirectory });
    expect(second.superuserUrl()).toBe(first.superuserUrl());
    expect(await query(second.superuserUrl(), "select n from kept")).toEqual([{ n: 7 }]);
    await second.stop();
    const { mode } = await stat(join(dataDirectory, "secrets/postgres-password"));
    expect(mode & 0o777).toBe(0o600);
  });

  it("stops when its parent is killed, and the next start has the data", async () => {
    const dataDirectory = await folder();
    const { child, url } = await startElsewhere(dataDirectory);
    await query(url, "create table kept as select 8 as n");
    const pid = await serverPid(join(dataDirectory, "postgres"));
    child.kill("SIGKILL");
    await once(child, "exit");
    // At once, while the old one may still be on its way out.
    const next = await startEmbeddedCluster({ dataDirectory });
    expect(await query(next.superuserUrl(), "select n from kept")).toEqual([{ n: 8 }]);
    expect(isAlive(pid)).toBe(false);
    await next.stop();
  });

  it("recovers from a server that was killed", async () => {
    const dataDirectory = await folder();
    const first = await startEmbeddedCluster({ dataDirectory });
    await query(first.superuserUrl(), "create table kept as select 9 as n");
    const pid = await serverPid(join(dataDirectory, "postgres"));
    process.kill(pid, "SIGKILL");
    await until(
      async () => isAlive(pid),
      (alive) => !alive,
    );
    await first.stop();
    const second = await startEmbeddedCluster({ dataDirectory });
    expect(await query(second.superuserUrl(), "select n from kept")).toEqual([{ n: 9 }]);
    await second.stop();
  });

  it("is joined by a second process, and three that start at once end up with one server", async () => {
    const dataDirectory = await folder();
    const started = await Promise.all([1, 2, 3].map(() => startElsewhere(dataDirectory)));
    expect(new Set(started.map(({ url }) => url)).size).toBe(1);
    const joined = await startEmbeddedCluster({ dataDirectory });
    await joined.stop();
    expect(await query(started[0]?.url as string, "select 1 as one")).toEqual([{ one: 1 }]);
    const pid = await serverPid(join(dataDirectory, "postgres"));
    for (const { child } of started) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    expect(isAlive(pid)).toBe(false);
  });

  it("leaves no half-made data directory behind, and clears those of dead attempts away", async () => {
    const dataDirectory = await folder();
    await mkdir(join(dataDirectory, "postgres.partial/base"), { recursive: true });
    const cluster = await startEmbeddedCluster({ dataDirectory });
    await cluster.stop();
    expect((await readdir(dataDirectory)).filter((name) => name.includes("partial"))).toEqual([]);
  });

  it("says what is wrong where it cannot start, with the last lines of the server's log", async () => {
    const dataDirectory = await folder();
    await expect(
      startEmbeddedCluster({ dataDirectory, settings: { shared_buffers: "a lot" } }),
    ).rejects.toThrow(/did not start:[\s\S]*shared_buffers/);
    const cluster = await startEmbeddedCluster({ dataDirectory });
    await cluster.stop();
  });

  it("refuses the data of another version, and says which", async () => {
    const dataDirectory = await folder();
    await (await startEmbeddedCluster({ dataDirectory })).stop();
    await writeFile(join(dataDirectory, "postgres/PG_VERSION"), "15\n");
    await expect(startEmbeddedCluster({ dataDirectory })).rejects.toThrow(
      /was made by PostgreSQL 15, this is 18/,
    );
  });

  it.runIf(process.getuid?.() === 0)(
    "as root works below a folder that nobody else may enter",
    async () => {
      const closed = await folder(0o700);
      const dataDirectory = join(closed, "data");
      const cluster = await startEmbeddedCluster({ dataDirectory });
      const [{ directory }] = (await query(
        cluster.superuserUrl(),
        "select current_setting('data_directory') as directory",
      )) as [{ directory: string }];
      expect(directory).toMatch(/^\/var\/lib\/howdah\/[0-9a-f]{16}\/postgres$/);
      const { uid } = await stat(directory);
      expect(uid).not.toBe(0);
      await cluster.stop();
      await rm(directory, { recursive: true });
    },
  );

  it.runIf(process.getuid?.() === 0)("as an ordinary user works in place", async () => {
    const dataDirectory = await folder(0o777);
    const { child, url } = await startElsewhere(dataDirectory, 65534);
    expect(await query(url, "select current_setting('data_directory') as directory")).toEqual([
      { directory: join(dataDirectory, "postgres") },
    ]);
    child.kill("SIGTERM");
    await once(child, "exit");
  });
});
