import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask, CREATE, SIGN_UP, startLoad } from "../support/load.ts";
import {
  type ApiProcess,
  createService,
  type Service,
  type WorkerProcess,
} from "../support/service.ts";
import { openSocket } from "../support/subscriptions.ts";
import { until } from "../support/until.ts";

let service: Service;
let api: ApiProcess;
let worker: WorkerProcess;
let token: string;

beforeAll(async () => {
  service = await createService();
  [api, worker] = await Promise.all([service.startApi(), service.startWorker()]);
  const { data } = await ask(api.url, SIGN_UP, { variables: { email: "a@example.com" } });
  token = data.signUp.tokens.accessToken;
}, 180_000);
afterAll(() => service.close());

const status = async (url: string) => (await fetch(url)).status;
const ready = (code: number, timeout: number) =>
  until(
    () => Promise.all([status(`${api.opsUrl}/ready`), status(`${worker.opsUrl}/ready`)]),
    (codes) => codes.every((found) => found === code),
    timeout,
  );

async function timed<T>(act: () => Promise<T>): Promise<{ result: T; took: number }> {
  const began = performance.now();
  const result = await act();
  return { result, took: performance.now() - began };
}

describe("PostgreSQL under load", () => {
  it.each(["fast", "immediate"] as const)(
    "stopped (%s) and started again: UNAVAILABLE within 1 s meanwhile, /ready 503 within 2 s, /live 200, nothing acknowledged is lost, and the processes live on",
    { timeout: 120_000 },
    async (mode) => {
      const load = await startLoad(api.url, 4);
      const socket = openSocket(api.url, { authorization: `Bearer ${token}` });
      const changes = socket.subscribe(
        "subscription { itemChanged(initialEvent: true) { item { title } } }",
      );
      await changes.next(20_000);
      await until(
        async () => load.acknowledged.length,
        (count) => count > 10,
      );

      await service.stopPostgres(mode);
      const { took: untilUnready } = await timed(() => ready(503, 10_000));
      expect(untilUnready).toBeLessThan(2000);
      const { result, took } = await timed(() =>
        ask(api.url, CREATE, { token, variables: { title: "away" } }),
      );
      expect(result.codes).toEqual(["UNAVAILABLE"]);
      expect(took).toBeLessThan(1000);
      for (const { opsUrl } of [api, worker]) expect(await status(`${opsUrl}/live`)).toBe(200);
      // No silent gap: who listens is told, and asks again.
      expect(JSON.stringify(await changes.ended)).toContain("UNAVAILABLE");

      await service.startPostgres();
      await ready(200, 30_000);
      const again = await ask(api.url, CREATE, { token, variables: { title: `after ${mode}` } });
      expect(again.codes).toEqual([]);
      await load.stop();
      socket.close();
      expect(new Set(load.failed)).toEqual(
        new Set(["503 UNAVAILABLE", "503 UNAVAILABLE undefined"]),
      );
      const { rows } = await service.owner.query("select title from app_public.items");
      const titles = new Set(rows.map(({ title }) => title));
      expect(load.acknowledged.filter((title) => !titles.has(title))).toEqual([]);
      expect(titles).not.toContain("away");
      expect([api.child.exitCode, worker.child.exitCode]).toEqual([null, null]);
    },
  );

  it("with its LISTEN backends killed: who subscribes gets UNAVAILABLE, and events again once resubscribed", {
    timeout: 60_000,
  }, async () => {
    const open = () => {
      const socket = openSocket(api.url, { authorization: `Bearer ${token}` });
      const changes = socket.subscribe(
        "subscription { itemChanged(initialEvent: true) { item { title } } }",
      );
      return { socket, changes };
    };
    const before = open();
    await before.changes.next(20_000);
    await service.asSuperuser(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'howdah live events'",
    );
    expect(JSON.stringify(await before.changes.ended)).toContain("UNAVAILABLE");
    before.socket.close();
    await ready(200, 20_000);
    const after = open();
    await after.changes.next(20_000);
    await ask(api.url, CREATE, { token, variables: { title: "heard" } });
    expect(await after.changes.next(20_000)).toEqual({
      data: { itemChanged: { item: { title: "heard" } } },
    });
    after.socket.close();
  });
});

/** A file system in memory can be small; mounting one takes root. */
const isRoot = process.getuid?.() === 0;

describe("a full disk", () => {
  it.runIf(isRoot)(
    "mutations err, none is half done, reads go on, and it works again without a restart",
    {
      timeout: 120_000,
    },
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "howdah-small-"));
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]);
      try {
        const { rows } = await service.asSuperuser(
          "select setting from pg_settings where name = 'data_directory'",
        );
        execFileSync("chown", ["--reference", rows[0].setting, folder]);
        await chmod(folder, 0o700);
        await service.asSuperuser(`create tablespace small location '${folder}'`);
        for (const table of ["items", "users", "sessions"]) {
          await moveToSmall(`app_public.${table}`);
        }
        const filler = await open(join(folder, "filler"), "w");
        await fill(filler);

        const failed = [];
        for (let n = 0; n < 400 && failed.length < 5; n += 1) {
          const { codes } = await ask(
            api.url,
            `mutation ($title: String!, $text: String!) {
            createItem(input: {item: {title: $title, description: $text}}) { item { id } } }`,
            { token, variables: { title: `full ${n}`, text: randomBytes(2500).toString("hex") } },
          );
          if (codes.length > 0) failed.push(`${codes}: full ${n}`);
        }
        expect(failed.map((line) => line.split(":")[0])).toEqual(Array(5).fill("UNAVAILABLE"));
        const there = await service.owner.query(
          "select from app_public.items where title = any ($1)",
          [failed.map((line) => line.split(": ")[1])],
        );
        expect(there.rowCount).toBe(0);
        const answers = [];
        for (let n = 0; n < 12; n += 1) {
          answers.push(
            await ask(api.url, SIGN_UP, { variables: { email: `full-${n}@example.com` } }),
          );
        }
        const succeeded = answers.filter(({ codes }) => codes.length === 0).length;
        const users = await service.owner.query(
          `select (select count(*)::int from app_public.sessions s where s.user_id = u.id) as sessions
         from app_public.users u where u.email like 'full-%'`,
        );
        expect(users.rows.map(({ sessions }) => sessions)).toEqual(Array(succeeded).fill(1));
        expect((await ask(api.url, "{ me { id } }", { token })).codes).toEqual([]);

        await filler.truncate(0);
        await filler.close();
        const again = await ask(api.url, CREATE, { token, variables: { title: "room again" } });
        expect(again.codes).toEqual([]);
        await ready(200, 20_000);
        expect([api.child.exitCode, worker.child.exitCode]).toEqual([null, null]);
        for (const table of ["items", "users", "sessions"]) {
          await moveToSmall(`app_public.${table}`, "pg_default");
        }
        await service.asSuperuser("drop tablespace small");
      } finally {
        execFileSync("umount", ["-l", folder]);
        await rm(folder, { recursive: true, force: true });
      }
    },
  );

  async function moveToSmall(table: string, tablespace = "small"): Promise<void> {
    await service.asSuperuser(`alter table ${table} set tablespace ${tablespace}`);
  }

  async function fill(file: Awaited<ReturnType<typeof open>>): Promise<void> {
    const part = Buffer.alloc(4096, 1);
    for (;;) {
      try {
        await file.write(part);
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
        return;
      }
    }
  }
});

describe("what takes too long is ended by PostgreSQL, whatever the API does", () => {
  it("the API's role has its three time-outs by itself, behind a pooler as well", async () => {
    const client = new pg.Client({ connectionString: service.authenticatorUrl });
    await client.connect();
    const { rows } = await client.query(
      `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
         current_setting('idle_in_transaction_session_timeout') as idle`,
    );
    expect(rows).toEqual([{ statement: "10s", lock: "5s", idle: "10s" }]);
    await client.end();
  });
});
