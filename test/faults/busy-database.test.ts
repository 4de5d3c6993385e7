import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

/** Milliseconds: shorter than in production, where they are 10, 5 and 10 s. */
const LIMITS = { statement_timeout: 1000, lock_timeout: 4000 };
const POOL = 2;
const ACQUIRE = 2000;

let database: TestDatabase;
let api: TestApi;
let ann: Account;

beforeAll(async () => {
  database = await createTestDatabase();
  await asSuperuser(
    `create function public.take_time() returns trigger language plpgsql as
     $$ begin perform pg_sleep(60); return new; end $$`,
    `create trigger take_time before insert on app_public.items for each row
     when (new.title = 'slow') execute function public.take_time()`,
  );
  // What every request of the suite may need once is not to be limited.
  api = await startTestApi({ database, poolSize: POOL, acquireTimeout: ACQUIRE });
  ann = await api.signUp();
});
afterAll(async () => {
  await api.stop();
  await database.drop();
});

async function asSuperuser(...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: database.superuserUrl });
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

/** From now on, for new connections of the API. */
async function limit(settings: Partial<typeof LIMITS>): Promise<void> {
  const statements = Object.entries(LIMITS).map(([name]) => {
    const value = settings[name as keyof typeof LIMITS];
    const alter = `alter role howdah_authenticator in database ${database.name}`;
    return value === undefined ? `${alter} reset ${name}` : `${alter} set ${name} = ${value}`;
  });
  await asSuperuser(
    ...statements,
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'howdah api' and datname = '${database.name}'`,
  );
  await until(
    () => api.graphql("{ me { id } }", { token: ann.token }),
    ({ errors }) => errors.length === 0,
  );
}

const create = (title: string) =>
  api.graphql(
    "mutation ($title: String!) { createItem(input: {item: {title: $title}}) { item { id } } }",
    { token: ann.token, variables: { title } },
  );
const read = () => api.graphql("{ items { nodes { id } } }", { token: ann.token });

async function timed<T>(act: () => Promise<T>): Promise<{ result: T; took: number }> {
  const began = performance.now();
  const result = await act();
  return { result, took: performance.now() - began };
}

/** Holds the items of everybody while the callback runs. */
async function whileLocked<T>(act: (locker: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: database.superuserUrl });
  await client.connect();
  await client.query("begin");
  await client.query("lock table app_public.items in access exclusive mode");
  try {
    return await act(client);
  } finally {
    await client.query("rollback");
    await client.end();
  }
}

async function fastestOf(count: number, url: string): Promise<{ took: number; status: number }> {
  const answers = [];
  for (let n = 0; n < count; n += 1) {
    const { result, took } = await timed(() => fetch(url));
    answers.push({ took, status: result.status });
  }
  return answers.sort((a, b) => a.took - b.took)[0] as (typeof answers)[number];
}

describe("a database that is too busy", () => {
  it("with the pool exhausted answers UNAVAILABLE after 2 s; /live and /ready need no connection of the pool", {
    timeout: 40_000,
  }, async () => {
    await limit({ lock_timeout: LIMITS.lock_timeout * 3 });
    await whileLocked(async (locker) => {
      const holders = Array.from({ length: POOL }, read);
      await until(
        () =>
          locker.query(
            "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
          ),
        ({ rowCount }) => rowCount === POOL,
      );
      const waiting = timed(read);
      const live = await fastestOf(3, `${api.opsUrl}/live`);
      expect(live.status).toBe(200);
      expect(live.took).toBeLessThan(100);
      expect((await fastestOf(3, `${api.opsUrl}/ready`)).status).toBe(200);
      const { result, took } = await waiting;
      expect(result.errors[0]?.extensions.code).toBe("UNAVAILABLE");
      expect(took).toBeGreaterThanOrEqual(ACQUIRE - 50);
      expect(took).toBeLessThan(ACQUIRE + 3000);
      holders.map((holder) => holder.catch(() => undefined));
    });
    await until(read, ({ errors }) => errors.length === 0);
  });

  it("with a lock that nobody gives back answers UNAVAILABLE after lock_timeout", async () => {
    await limit({ lock_timeout: 500 });
    const { errors } = await whileLocked(read);
    expect(errors[0]?.extensions.code).toBe("UNAVAILABLE");
    expect((await read()).errors).toEqual([]);
  });

  it("with a statement that takes too long answers UNAVAILABLE after statement_timeout, and keeps nothing of it", async () => {
    await limit({ statement_timeout: LIMITS.statement_timeout });
    const { result, took } = await timed(() => create("slow"));
    expect(result.errors[0]?.extensions.code).toBe("UNAVAILABLE");
    expect(took).toBeLessThan(20_000);
    const { rowCount } = await database.owner.query(
      "select from app_public.items where title = 'slow'",
    );
    expect(rowCount).toBe(0);
    expect((await create("quick")).errors).toEqual([]);
  });

  it("with a transaction that does nothing ends that one, and gives its locks to others", async () => {
    await limit({});
    const idle = new pg.Client({ connectionString: database.authenticatorUrl });
    const ended = new Promise<Error>((resolve) => idle.on("error", resolve));
    await idle.connect();
    await idle.query("set idle_in_transaction_session_timeout = 500");
    await idle.query("begin");
    await idle.query("select pg_advisory_xact_lock(1)");
    expect(await ended).toMatchObject({ code: "25P03" });
    const { rows } = await database.owner.query("select pg_try_advisory_lock(1) as is_free");
    expect(rows).toEqual([{ is_free: true }]);
    expect((await read()).errors).toEqual([]);
  });
});
