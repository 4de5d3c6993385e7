import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { dirname, join, relative } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { canReach } from "../../src/database/embedded/account.ts";
import { startEmbeddedCluster } from "../../src/database/embedded/cluster.ts";
import {
  CLUSTER,
  folder,
  folders,
  folderWithCluster,
  kill,
  query,
  spawnElsewhere,
  startElsewhere,
  useClusters,
} from "../support/clusters.ts";
import { until } from "../support/until.ts";

const NOBODY = 65534;
const IS_ROOT = process.getuid?.() === 0;
/** Not where root's checkout is closed to everybody else. */
const CAN_BE_NOBODY = IS_ROOT && canReach(dirname(CLUSTER), { uid: NOBODY, gid: NOBODY });
/** Ports that are found free and are taken a moment later. */
const stolenPorts = vi.hoisted(() => [] as number[]);
vi.mock("../../src/database/embedded/port.ts", async (importOriginal) => {
  const original = await importOriginal<typeof import("../../src/database/embedded/port.ts")>();
  return {
    freePort: async (preferred: number) => stolenPorts.shift() ?? original.freePort(preferred),
  };
});
useClusters();

describe("an embedded cluster that cannot start, or only just", () => {
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
