import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWithPgClient } from "../../src/database/adaptor.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
let pool: pg.Pool;
let write: (text: string, values?: unknown[]) => Promise<unknown[]>;

beforeAll(async () => {
  database = await createTestDatabase();
  // One connection, so that what it has prepared can be looked at.
  pool = new pg.Pool({
    connectionString: database.authenticatorUrl,
    max: 1,
    pipeline: true,
  } as pg.PoolConfig);
  const withPgClient = createWithPgClient(pool, new WeakSet());
  const settings = { role: "howdah_user", "jwt.claims.user_id": "", "jwt.claims.session_id": "" };
  write = async (text, values = []) => {
    const { rows } = await withPgClient({ ...settings }, (client) =>
      // As PostGraphile sends a mutation: without a name.
      client.query<unknown[]>({ text, values: values as never, arrayMode: true }),
    );
    return rows.flat();
  };
  await write("select 'the settings are prepared by this'");
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

async function prepared(): Promise<string[]> {
  const { rows } = await pool.query(
    "select statement from pg_prepared_statements where name like 'write\\_%' order by prepare_time",
  );
  return rows.map(({ statement }) => statement);
}

describe("statements without a name", () => {
  it("are prepared once they come again, and answer the same", async () => {
    const text = "select $1::int + 1";
    expect(await write(text, [1])).toEqual([2]);
    expect(await prepared()).toEqual([]);
    for (const n of [2, 3, 4]) expect(await write(text, [n])).toEqual([n + 1]);
    expect(await prepared()).toEqual([text]);
  });

  it("can be repeated after one that failed, whether it was prepared by then or not", async () => {
    const text = "select 1 / $1::int as quotient";
    for (const _time of [1, 2, 3]) {
      await expect(write(text, [0])).rejects.toMatchObject({ code: "22012" });
    }
    expect(await write(text, [1])).toEqual([1]);
    const unknown = "select a from app_public.there_is_no_such_table";
    for (const _time of [1, 2, 3]) {
      await expect(write(unknown)).rejects.toMatchObject({ code: "42P01" });
    }
    expect(await prepared()).not.toContain(unknown);
  });

  it("do not fill a connection: the least used one gives way", async () => {
    for (let n = 0; n < 120; n += 1) {
      for (const _time of [1, 2]) expect(await write(`select ${n}`)).toEqual([n]);
    }
    const { length } = await prepared();
    expect(length).toBeGreaterThan(50);
    expect(length).toBeLessThanOrEqual(100);
    expect(await write("select 0")).toEqual([0]);
  });
});
