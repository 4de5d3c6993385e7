import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { canReach } from "../../src/database/embedded/account.ts";
import { startEmbeddedCluster } from "../../src/database/embedded/cluster.ts";
import { isAlive, processMark } from "../../src/database/embedded/process.ts";
import { until } from "../support/until.ts";

const CLUSTER = resolve("src/database/embedded/cluster.ts");
const NOBODY = 65534;
const IS_ROOT = process.getuid?.() === 0;
/** Not where root's checkout is closed to everybody else. */
const CAN_BE_NOBODY = IS_ROOT && canReach(dirname(CLUSTER), { uid: NOBODY, gid: NOBODY });
const folders: string[] = [];

/** Ports that are found free and are taken a moment later. */
const stolenPorts = vi.hoisted(() => [] as number[]);
vi.mock("../../src/database/embedded/port.ts", async (importOriginal) => {
  const original = await importOriginal<typeof import("../../src/database/embedded/port.ts")>();
  return {
    freePort: async (preferred: number) => stolenPorts.shift() ?? original.freePort(preferred),
  };
});
const children: ChildProcess[] = [];

async function folder(mode = 0o755): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "howdah-embedded-"));
  await chmod(path, mode);
  folders.push(path);
  return path;
}

let made: string;

beforeAll(async () => {
  made = await mkdtemp(join(tmpdir(), "howdah-embedded-"));
  await chmod(made, 0o755);
  await (await startEmbeddedCluster({ dataDirectory: made })).stop();
});

afterAll(() => rm(made, { recursive: true, force: true }));

/** A folder with a cluster in it, stopped: quicker than initdb. */
async function folderWithCluster(): Promise<string> {
  const path = await folder();
  execFileSync("cp", ["-a", `${made}/.`, path]);
  // Each its own: the port is on record there.
  await rm(join(path, "postgres.port"));
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

interface Elsewhere {
  uid?: number;
  /** A shell command before it, such as a limit. */
  before?: string;
}

/** Another process that starts or joins a cluster, and then waits. */
async function startElsewhere(dataDirectory: string, options: Elsewhere = {}) {
  const child = spawnElsewhere(dataDirectory, options);
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  return { child, url: String(line).trim() };
}

/** The same, without waiting for what it says: the cluster's URL or the error. */
function spawnElsewhere(dataDirectory: string, { uid, before = ":" }: Elsewhere = {}) {
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

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
}

async function untilDead(pid: number): Promise<void> {
  await until(
    async () => isAlive(pid),
    (alive) => !alive,
  );
}

async function serverPid(directory: string): Promise<number> {
  return Number((await readFile(join(directory, "postmaster.pid"), "utf8")).split("\n")[0]);
}

describe("the embedded cluster", () => {
  it("keeps its data, password and port over a restart, and listens on loopback with a password only", async () => {
    const dataDirectory = await folder();
    const first = await startEmbeddedCluster({ dataDirectory });
    expect(first).toMatchObject({ host: "127.0.0.1", superuser: "postgres", owned: true });
    await query(first.superuserUrl(), "create table kept as select 7 as n");
    const [settings] = await query(
      first.superuserUrl(),
      `select current_setting('server_version_num')::int / 10000 as major,
         current_setting('listen_addresses') as addresses, current_setting('unix_socket_directories') as sockets,
         current_setting('timezone') as timezone, current_setting('server_encoding') as encoding,
         (select count(*)::int from pg_hba_file_rules where auth_method <> 'scram-sha-256') as without_password`,
    );
    expect(settings).toEqual({
      major: 18,
      addresses: "127.0.0.1",
      sockets: "",
      timezone: "UTC",
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
    const dataDirectory = await folderWithCluster();
    const { child, url } = await startElsewhere(dataDirectory);
    await query(url, "create table kept as select 8 as n");
    const pid = await serverPid(join(dataDirectory, "postgres"));
    await kill(child, "SIGKILL");
    // At once, while the old one may still be on its way out.
    const next = await startEmbeddedCluster({ dataDirectory });
    expect(await query(next.superuserUrl(), "select n from kept")).toEqual([{ n: 8 }]);
    expect(isAlive(pid)).toBe(false);
    await next.stop();
  });

  it("recovers from a server that was killed", async () => {
    const dataDirectory = await folderWithCluster();
    const first = await startEmbeddedCluster({ dataDirectory });
    await query(first.superuserUrl(), "create table kept as select 9 as n");
    const pid = await serverPid(join(dataDirectory, "postgres"));
    process.kill(pid, "SIGKILL");
    await untilDead(pid);
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
    expect(joined.owned).toBe(false);
    await joined.stop();
    expect(await query(started[0]?.url as string, "select 1 as one")).toEqual([{ one: 1 }]);
    const pid = await serverPid(join(dataDirectory, "postgres"));
    for (const { child } of started) {
      await kill(child, "SIGTERM");
    }
    expect(isAlive(pid)).toBe(false);
  });

  it("does not hear a Ctrl-C that its parent hears", async () => {
    const { child, url } = await startElsewhere(await folderWithCluster());
    const heard = once(child.stdout as NodeJS.ReadableStream, "data");
    process.kill(-(child.pid as number), "SIGINT");
    await heard;
    expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
    await kill(child, "SIGTERM");
  });

  it("stops as well when its parent is killed while it is still starting", async () => {
    const dataDirectory = await folderWithCluster();
    const log = join(dataDirectory, "postgres/server.log");
    await rm(log);
    const child = spawnElsewhere(dataDirectory);
    await until(
      async () => existsSync(log),
      (exists) => exists,
    );
    await kill(child, "SIGKILL");
    await until(
      async () => readFile(log, "utf8"),
      (text) => text.includes("database system is shut down"),
    );
    await (await startEmbeddedCluster({ dataDirectory })).stop();
  });

  it("starts on what a power cut left, though its process ids are somebody else's by now", async () => {
    const dataDirectory = await folderWithCluster();
    const first = await startEmbeddedCluster({ dataDirectory });
    await query(first.superuserUrl(), "create table kept as select 10 as n");
    const postmaster = join(dataDirectory, "postgres/postmaster.pid");
    const stale = (await readFile(postmaster, "utf8")).replace(/^\d+/, String(process.pid));
    const pid = await serverPid(join(dataDirectory, "postgres"));
    process.kill(pid, "SIGKILL");
    await untilDead(pid);
    await first.stop();
    await writeFile(postmaster, stale);
    await writeFile(join(dataDirectory, "postgres.owner"), `${processMark()} ${process.pid}`);
    await mkdir(join(dataDirectory, "postgres.starting"), { recursive: true });
    const otherBoot = `${process.pid}-00000000-1.ffffffff`;
    await writeFile(join(dataDirectory, "postgres.starting", otherBoot), "");
    const second = await startEmbeddedCluster({ dataDirectory });
    expect(second.owned).toBe(true);
    expect(await query(second.superuserUrl(), "select n from kept")).toEqual([{ n: 10 }]);
    await second.stop();
  });

  it("is not stopped by the owner of an earlier server on the same directory", async () => {
    const dataDirectory = await folderWithCluster();
    const earlier = await startEmbeddedCluster({ dataDirectory });
    const pid = await serverPid(join(dataDirectory, "postgres"));
    process.kill(pid, "SIGKILL");
    await untilDead(pid);
    const { child, url } = await startElsewhere(dataDirectory);
    await earlier.stop();
    expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
    const joined = await startEmbeddedCluster({ dataDirectory });
    expect(joined.owned).toBe(false);
    await kill(child, "SIGTERM");
  });

  it("tries another port when the one it found free is taken before it starts", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const dataDirectory = await folderWithCluster();
    stolenPorts.push(port, port);
    const cluster = await startEmbeddedCluster({ dataDirectory });
    expect(cluster.port).not.toBe(port);
    expect(await query(cluster.superuserUrl(), "select 1 as one")).toEqual([{ one: 1 }]);
    await cluster.stop();

    stolenPorts.push(...Array(5).fill(port));
    await expect(startEmbeddedCluster({ dataDirectory })).rejects.toThrow(/Address already in use/);
    expect(stolenPorts).toEqual([]);
    taken.close();
  });

  it("takes paths and settings as they are, quotes and spaces included", async () => {
    const dataDirectory = join(await folder(), `it's $HOME "here"`);
    const settings = { "howdah.note": `it's "5" $HOME` };
    const cluster = await startEmbeddedCluster({
      dataDirectory: relative(process.cwd(), dataDirectory),
      settings,
    });
    expect(
      await query(
        cluster.superuserUrl(),
        "select current_setting('data_directory') as directory, current_setting('howdah.note') as note",
      ),
    ).toEqual([{ directory: join(dataDirectory, "postgres"), note: settings["howdah.note"] }]);
    await cluster.stop();
  });

  it("says so where initdb fails, leaves nothing half-made, and begins anew", async () => {
    const dataDirectory = await folder();
    // No file above 2 MB, as on a disk that is full: the first WAL segment has 16.
    const { child, url: message } = await startElsewhere(dataDirectory, {
      before: "ulimit -f 4096",
    });
    expect(message).toMatch(/^initdb failed: .*(File too large|No space left)/);
    if (child.exitCode === null) await once(child, "exit");
    expect(
      (await readdir(dataDirectory)).filter((name) => /^postgres(\.partial|$)/.test(name)),
    ).toEqual([]);
    await (await startEmbeddedCluster({ dataDirectory })).stop();
  });

  it("begins anew where a start was killed in the middle of initdb", async () => {
    const dataDirectory = await folder();
    const child = spawnElsewhere(dataDirectory);
    const partial = async () =>
      (await readdir(dataDirectory)).filter((name) => name.startsWith("postgres.partial"));
    await until(partial, (names) => names.length > 0);
    await kill(child, "SIGKILL");
    const cluster = await startEmbeddedCluster({ dataDirectory });
    expect(await query(cluster.superuserUrl(), "select 1 as one")).toEqual([{ one: 1 }]);
    expect(await partial()).toEqual([]);
    await cluster.stop();
  });

  it.runIf(CAN_BE_NOBODY || !IS_ROOT)("names the folder that it may not write to", async () => {
    const dataDirectory = await folder(0o555);
    const { url: message } = await startElsewhere(dataDirectory, IS_ROOT ? { uid: NOBODY } : {});
    expect(message).toContain(`the embedded PostgreSQL cannot work in ${dataDirectory}: EACCES`);
  });

  it("does not go on without the password of its data", async () => {
    const dataDirectory = await folderWithCluster();
    await rm(join(dataDirectory, "secrets"), { recursive: true });
    await expect(startEmbeddedCluster({ dataDirectory })).rejects.toThrow(/password is not: put/);
  });

  it("leaves no half-made data directory behind, and clears those of dead attempts away", async () => {
    const dataDirectory = await folder();
    await mkdir(join(dataDirectory, "postgres.partial/base"), { recursive: true });
    const cluster = await startEmbeddedCluster({ dataDirectory });
    await cluster.stop();
    expect((await readdir(dataDirectory)).filter((name) => name.includes("partial"))).toEqual([]);
  });

  it("says what is wrong where it cannot start, with the last lines of the server's log", async () => {
    const dataDirectory = await folderWithCluster();
    await expect(
      startEmbeddedCluster({ dataDirectory, settings: { shared_buffers: "a lot" } }),
    ).rejects.toThrow(/did not start:[\s\S]*shared_buffers/);
    const cluster = await startEmbeddedCluster({ dataDirectory });
    await cluster.stop();
  });

  it("refuses the data of another version, and says which", async () => {
    const dataDirectory = await folderWithCluster();
    await writeFile(join(dataDirectory, "postgres/PG_VERSION"), "15\n");
    await expect(startEmbeddedCluster({ dataDirectory })).rejects.toThrow(
      /was made by PostgreSQL 15, this is 18/,
    );
  });

  it.runIf(IS_ROOT)(
    "as root works below a folder that nobody else may enter, closed to others, whatever the umask",
    async () => {
      const closed = await folder(0o700);
      const dataDirectory = join(closed, "data");
      const umask = process.umask(0o077);
      const cluster = await startEmbeddedCluster({ dataDirectory });
      process.umask(umask);
      const [{ directory }] = (await query(
        cluster.superuserUrl(),
        "select current_setting('data_directory') as directory",
      )) as [{ directory: string }];
      folders.push(dirname(directory));
      expect(directory).toMatch(/^\/var\/lib\/howdah\/[0-9a-f]{16}\/postgres$/);
      const { uid, mode } = await stat(directory);
      expect(uid).not.toBe(0);
      expect(mode & 0o777).toBe(0o700);
      await query(cluster.superuserUrl(), "create table kept as select 11 as n");
      await cluster.stop();

      // Deleting DATA_DIR begins anew, though the data are elsewhere; they are set aside.
      await rm(dataDirectory, { recursive: true });
      const anew = await startEmbeddedCluster({ dataDirectory });
      expect(await query(anew.superuserUrl(), "select to_regclass('kept') as kept")).toEqual([
        { kept: null },
      ]);
      await anew.stop();
      expect(existsSync(`${directory}.previous/PG_VERSION`)).toBe(true);
    },
  );

  it.runIf(CAN_BE_NOBODY)(
    "as an ordinary user works in place, and root is told whose it is",
    async () => {
      const dataDirectory = await folder(0o777);
      const { child, url } = await startElsewhere(dataDirectory, { uid: NOBODY });
      expect(await query(url, "select current_setting('data_directory') as directory")).toEqual([
        { directory: join(dataDirectory, "postgres") },
      ]);
      await kill(child, "SIGTERM");
      const user = (await readFile("/etc/passwd", "utf8")).match(/^postgres:[^:]*:(\d+)/m)?.[1];
      if (user === undefined) return;
      await expect(startEmbeddedCluster({ dataDirectory })).rejects.toThrow(
        `belongs to uid ${NOBODY}, and PostgreSQL would run as uid ${user}`,
      );
    },
  );
});
