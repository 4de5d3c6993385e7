import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { freePort } from "../support/free-port.ts";
import { type Running, runEntry } from "../support/processes.ts";

let database: TestDatabase;
let dataDirectory: string;
let group: Running;
let url: string;
let opsUrl: string;

beforeAll(async () => {
  database = await createTestDatabase();
  dataDirectory = await mkdtemp(join(tmpdir(), "howdah-group-"));
  group = start({ PORT: String(await freePort()) });
  const [, found, ops] = await group.prints(/"url":"([^"]+)","ops":"([^"]+)".*"API ready"/);
  [url, opsUrl] = [found as string, ops as string];
});
afterAll(async () => {
  await group.ends("SIGTERM");
  await database.drop();
  await rm(dataDirectory, { recursive: true, force: true });
});

const start = (env: Record<string, string>) =>
  runEntry("src/api.ts", {
    DATABASE_URL: database.ownerUrl,
    AUTHENTICATOR_DATABASE_URL: database.authenticatorUrl,
    DATA_DIR: dataDirectory,
    OPS_PORT: "0",
    API_PROCESSES: "2",
    ...env,
  });

/** Each on a connection of its own, so that the processes take turns. */
async function ask(): Promise<number> {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body: JSON.stringify({ query: "{ __typename }" }),
  });
  await response.arrayBuffer();
  return response.status;
}

/** How many API processes there are: each has one connection that listens. */
async function processes(): Promise<number> {
  const { rows } = await database.owner.query(
    `select count(*)::int as listening from pg_stat_activity
     where datname = current_database() and application_name = 'howdah live events'`,
  );
  return rows[0].listening;
}

describe("API_PROCESSES=2", () => {
  it("serves one port by two processes, whose state and metrics are one", async () => {
    expect(await Promise.all(Array.from({ length: 10 }, ask))).toEqual(Array(10).fill(200));
    expect(await processes()).toBe(2);
    expect((await fetch(`${opsUrl}/ready`)).status).toBe(200);
    const metrics = await (await fetch(`${opsUrl}/metrics`)).text();
    expect(metrics).toMatch(/^process_cpu_user_seconds_total /m);
    expect(metrics).toMatch(
      /^howdah_graphql_request_duration_seconds_count{operation="unnamed"} 10$/m,
    );
    expect(metrics).toMatch(/^howdah_ready 1$/m);
    expect(metrics).toMatch(/^howdah_listen_connected 1$/m);
  });

  const childrenOf = (parent: Running) =>
    execFileSync("ps", ["--ppid", String(parent.child.pid), "-o", "pid="])
      .toString()
      .trim()
      .split(/\s+/)
      .map(Number);

  it("replaces one that dies, and says so; the other goes on meanwhile", async () => {
    const children = childrenOf(group);
    expect(children).toHaveLength(2);
    process.kill(children[0] as number, "SIGKILL");
    await group.prints(/an API process has ended/);
    expect((await fetch(`${opsUrl}/ready`)).status).toBe(503);
    expect(await ask()).toBe(200);
    await expect
      .poll(async () => (await fetch(`${opsUrl}/ready`)).status, { timeout: 50_000 })
      .toBe(200);
  });

  it("goes on when one dies while it could not look", { timeout: 60_000 }, async () => {
    const [dying] = childrenOf(group) as [number];
    // What falls due meanwhile comes before the news of that death: it speaks to one that is gone.
    process.kill(group.child.pid as number, "SIGSTOP");
    process.kill(dying, "SIGKILL");
    await delay(1500);
    process.kill(group.child.pid as number, "SIGCONT");
    await group.prints(new RegExp(`"pid":${dying},.*an API process has ended`));
    await expect
      .poll(async () => (await fetch(`${opsUrl}/ready`)).status, { timeout: 50_000 })
      .toBe(200);
  });

  it("is not ready while one of them hangs, and replaces it", { timeout: 60_000 }, async () => {
    const [hanging] = childrenOf(group) as [number];
    const ready = async () => (await fetch(`${opsUrl}/ready`)).status;
    process.kill(hanging, "SIGSTOP");
    await expect.poll(ready, { timeout: 10_000 }).toBe(503);
    const metrics = await fetch(`${opsUrl}/metrics`);
    expect(metrics.status).toBe(503);
    expect(await metrics.text()).toMatch(/^no metrics: [^\n]+$/);
    await group.prints(/an API process hangs/);
    await expect.poll(ready, { timeout: 30_000 }).toBe(200);
    expect(childrenOf(group)).not.toContain(hanging);
  });

  it("says in one line why it cannot start, and leaves nothing running", async () => {
    const other = start({ PORT: new URL(url).port });
    expect(await other.ends()).toBe(1);
    expect(other.output()).toMatch(/port \d+ is taken/);
  });

  it("ends with exit 0 on SIGTERM, all of them", async () => {
    const other = start({ PORT: String(await freePort()) });
    await other.prints(/"API ready"/);
    expect(await other.ends("SIGTERM")).toBe(0);
    await expect.poll(processes).toBe(2);
  });

  it("leaves none behind that hangs when it is told to end", { timeout: 60_000 }, async () => {
    const other = start({ PORT: String(await freePort()), SHUTDOWN_SECONDS: "3" });
    await other.prints(/"API ready"/);
    const [hanging] = childrenOf(other) as [number];
    process.kill(hanging, "SIGSTOP");
    await other.ends("SIGTERM");
    expect(() => process.kill(hanging, 0)).toThrow("ESRCH");
  });
});
