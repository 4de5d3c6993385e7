import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWithPgClient } from "../../src/database/adaptor.ts";
import { createPool } from "../../src/database/pool.ts";
import { markQuery, type RequestSettings } from "../../src/database/request-settings.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let pool: Pool;
let ask: (settings: RequestSettings, text: string, name?: string) => Promise<unknown>;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = openPool(database.authenticatorUrl, 4);
  const withPgClient = createWithPgClient(pool, new WeakSet());
  ask = async (settings, text, name) => {
    const { rows } = await withPgClient(settings, (client) =>
      client.query<unknown[]>({ text, arrayMode: true, ...(name === undefined ? {} : { name }) }),
    );
    return rows[0]?.[0];
  };
  await database.owner.query(`
    create table app_private.notes (note text);
    create function app_private.note(note text) returns boolean language sql security definer
      begin atomic insert into app_private.notes values (note) returning true; end;
    grant usage on schema app_private to howdah_user;
    grant execute on function app_private.note to howdah_user`);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

function openPool(connectionString: string, max: number): Pool {
  return createPool({
    connectionString,
    max,
    applicationName: "howdah test",
    logger: pino({ level: "silent" }),
    pipeline: true,
  });
}

function settings(role = "howdah_user"): RequestSettings {
  return { role, "jwt.claims.user_id": "", "jwt.claims.session_id": "" };
}
function query(role?: string): RequestSettings {
  const own = settings(role);
  markQuery(own);
  return own;
}
const TRANSACTION = "select pg_backend_pid() || ' ' || now()";

describe("what a query asks at once", () => {
  it("is one transaction for three statements, and another query's is another", async () => {
    const [one, other] = [query(), query()];
    const answers = await Promise.all([
      ...Array.from({ length: 8 }, () => ask(one, TRANSACTION)),
      ask(other, TRANSACTION),
    ]);
    expect(answers.slice(0, 3)).toEqual(Array(3).fill(answers[0]));
    expect(new Set(answers.slice(0, 8)).size).toBe(3);
    expect(answers.slice(0, 8)).not.toContain(answers[8]);
  });

  it("keeps no more statements prepared than a connection may, however many there are", async () => {
    for (let round = 0; round < 4; round += 1) {
      await Promise.all(
        Array.from({ length: 150 }, async (_, n) => {
          expect(await ask(query(), `select ${n}`, `many_${n}`)).toBe(n);
        }),
      );
    }
    const clients = await Promise.all(Array.from({ length: 4 }, () => pool.connect()));
    for (const client of clients) {
      const { rows } = await client.query(
        "select count(*)::int as prepared from pg_prepared_statements where name like 'many\\_%'",
      );
      expect(rows[0].prepared).toBeLessThanOrEqual(100);
      client.release();
    }
  });

  it("is prepared anew where its table has changed since", async () => {
    const { owner } = database;
    await owner.query(
      `create table app_public.changing (c varchar(5)); grant select on app_public.changing to howdah_user;
       insert into app_public.changing values ('a')`,
    );
    const both = () => {
      const own = query();
      return Promise.all([
        ask(own, "select c from app_public.changing", "changing"),
        ask(own, "select 2", "two"),
      ]);
    };
    for (let n = 0; n < 6; n += 1) expect(await both()).toEqual(["a", 2]);
    await owner.query("alter table app_public.changing alter column c type text");
    for (let n = 0; n < 6; n += 1) expect(await both()).toEqual(["a", 2]);
    await owner.query("drop table app_public.changing");
  });

  it("has its settings, and leaves none behind", async () => {
    const own = query();
    own["jwt.claims.user_id"] = "7";
    const seen = await Promise.all([
      ask(own, "select current_user || current_setting('jwt.claims.user_id')"),
      ask(own, "select current_setting('jwt.claims.user_id') || current_user"),
    ]);
    expect(seen).toEqual(["howdah_user7", "7howdah_user"]);
    const { rows } = await pool.query(
      "select current_user as who, current_setting('jwt.claims.user_id', true) as id",
    );
    expect(rows).toEqual([{ who: "howdah_authenticator", id: "" }]);
  });

  it("fails one by one: those before and after are answered, prepared or not", async () => {
    for (let time = 1; time <= 3; time += 1) {
      const own = query();
      const outcomes = await Promise.allSettled([
        ask(own, "select 1", "one"),
        ask(own, "select 1 / 0"),
        ask(own, "select 2", "two"),
        ask(own, "select nonsense"),
        ask(own, "select 3"),
        ask(own, "select 'four'::text", "four"),
      ]);
      expect(
        outcomes.map((outcome) =>
          outcome.status === "fulfilled" ? outcome.value : outcome.reason.code,
        ),
      ).toEqual([1, "22012", 2, "42703", 3, "four"]);
    }
  });

  it("fails together where its settings are refused", async () => {
    const own = query("postgres");
    const outcomes = await Promise.allSettled([ask(own, "select 1"), ask(own, "select 2")]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "42501" } });
    }
    expect(await ask(query(), "select 1")).toBe(1);
  });

  it("is answered or told of a connection that ends in between, and the next has another", async () => {
    const own = query();
    const outcomes = Promise.allSettled([
      ask(own, "select 1"),
      ask(own, "select pg_sleep(60)::text"),
      ask(own, "select 3"),
    ]);
    await until(
      () =>
        pool.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where usename = current_user and state = 'active' and query = 'select pg_sleep(60)::text'`,
        ),
      ({ rowCount }) => rowCount === 1,
    );
    expect((await outcomes).map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "rejected",
    ]);
    expect(await ask(query(), "select 1")).toBe(1);
  });

  it("is over when it is answered, where the URL has a query_timeout", async () => {
    const url = new URL(database.authenticatorUrl);
    url.searchParams.set("query_timeout", "300");
    const timed = openPool(url.href, 1);
    const withPgClient = createWithPgClient(timed, new WeakSet());
    const askTimed = (text: string) =>
      withPgClient(query(), (client) => client.query<{ pid: number }>({ text }));
    const { rows } = await askTimed("select pg_backend_pid() as pid");
    await delay(400);
    expect((await askTimed("select pg_backend_pid() as pid")).rows).toEqual(rows);
    await expect(askTimed("select pg_sleep(2)")).rejects.toThrow();
    await timed.end();
  });

  it("may be an empty statement", async () => {
    const own = query();
    expect(await Promise.all([ask(own, ""), ask(own, "select 1")])).toEqual([undefined, 1]);
  });
});

describe("what may change something", () => {
  it("is alone in its transaction: another's failure takes nothing of it", async () => {
    const own = settings();
    const outcomes = await Promise.allSettled([
      ask(own, "select app_private.note('kept')"),
      ask(own, "select 1 / 0"),
      ask(own, "select app_private.note('kept, too')"),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    const { rows } = await database.owner.query("select note from app_private.notes order by note");
    expect(rows).toEqual([{ note: "kept" }, { note: "kept, too" }]);
  });
});
