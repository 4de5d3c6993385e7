import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startEmbeddedCluster } from "../../src/database/embedded/cluster.ts";
import { isAlive, processMark } from "../../src/database/embedded/process.ts";
import {
  folder,
  folderWithCluster,
  kill,
  query,
  serverPid,
  spawnElsewhere,
  startElsewhere,
  untilDead,
  useClusters,
} from "../support/clusters.ts";
import { until } from "../support/until.ts";

useClusters();

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
    // It may have come so early that there was no server yet: then the log stays empty.
    await until(
      async () => readFile(log, "utf8"),
      (text) => text === "" || text.includes("database system is shut down"),
    );
    const next = await startEmbeddedCluster({ dataDirectory });
    expect(next.owned).toBe(true);
    await next.stop();
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
});
