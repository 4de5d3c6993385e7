import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { until } from "../support/until.ts";

/** Of the API's pool. */
const CONNECTIONS = 2;

let api: TestApi;
let account: Account;
let locker: pg.Client;

beforeAll(async () => {
  api = await startTestApi({ poolSize: CONNECTIONS, acquireTimeout: 2000 });
  account = await api.signUp();
});
afterAll(() => api.stop());
beforeEach(async () => {
  locker = new pg.Client({ connectionString: api.database.superuserUrl });
  await locker.connect();
  await locker.query("begin; lock table app_public.items in access exclusive mode");
});
afterEach(() => locker.end());

/** Reads that are all different: what is asked twice at the same time is read once. */
const items = (name: string) =>
  api.graphql(`{ items(first: 1) { nodes { id } } ${name}: __typename }`, { token: account.token });
const waiting = () =>
  until(
    async () =>
      (
        await locker.query(
          "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
        )
      ).rowCount,
    (count) => count === CONNECTIONS,
  );

async function took<T>(work: Promise<T>): Promise<[answer: T, milliseconds: number]> {
  const began = performance.now();
  const answer = await work;
  return [answer, performance.now() - began];
}

describe("a pool that is exhausted", () => {
  it("UNAVAILABLE after the acquire time-out of 2 s; /live in less than 100 ms, /ready stays: neither needs the pool", async () => {
    const holding = Array.from({ length: CONNECTIONS }, (_, n) => items(`held${n}`));
    await waiting();
    const refused = took(items("refused"));
    // A machine with other work stands still for moments; what waits for the pool waits each time.
    const live = [];
    for (let n = 0; n < 10; n += 1) {
      const [{ status }, milliseconds] = await took(fetch(`${api.opsUrl}/live`));
      expect(status).toBe(200);
      live.push(milliseconds);
    }
    expect(Math.min(...live)).toBeLessThan(100);
    expect((await fetch(`${api.opsUrl}/ready`)).status).toBe(200);
    const [{ errors }, waited] = await refused;
    expect(errors).toMatchObject([{ extensions: { code: "UNAVAILABLE" } }]);
    expect(waited).toBeGreaterThan(1900);
    await locker.query("rollback");
    for (const { errors: none } of await Promise.all(holding)) expect(none).toEqual([]);
    expect((await items("afterwards")).errors).toEqual([]);
  });
});

describe("what waits too long is ended by PostgreSQL, by settings of the API's role", () => {
  it("below a mutation that is done: who sent it is not asked to send it again", async () => {
    const { data, errors } = await api.graphql(
      'mutation { updateMe(input: {patch: {firstName: "Done"}}) { user { items(first: 1) { nodes { id } } } } }',
      { token: account.token },
    );
    expect(errors).toMatchObject([
      {
        message: "This is done, but what came of it cannot be read for the moment.",
        path: ["updateMe", "user"],
        extensions: {
          code: "UNAVAILABLE",
          hint: "Do not send it again: ask for what it made by a query.",
        },
      },
    ]);
    expect(data.updateMe).not.toBeNull();
    const { rows } = await api.database.owner.query(
      "select first_name from app_public.users where id = $1",
      [account.userId],
    );
    expect(rows).toEqual([{ first_name: "Done" }]);
  });

  it("a lock: lock_timeout, 5 s, UNAVAILABLE", async () => {
    const [{ errors }, waited] = await took(items("locked"));
    expect(errors).toMatchObject([{ extensions: { code: "UNAVAILABLE" } }]);
    expect(waited).toBeGreaterThan(4900);
  });

  it("a statement: statement_timeout, 10 s, TOO_COMPLEX; an idle transaction: 10 s, its locks are free", async () => {
    await locker.query("rollback");
    await locker.query(`
      create function app_private.take_time() returns trigger language plpgsql
      as $$ begin perform pg_sleep(60); return new; end $$`);
    await locker.query(`
      create trigger _999_take_time before insert on app_public.items for each row
      when (new.title = 'slow') execute function app_private.take_time()`);
    const slow = took(
      api.graphql('mutation { createItem(input: {item: {title: "slow"}}) { item { id } } }', {
        token: account.token,
      }),
    );
    const idle = new pg.Client({ connectionString: api.database.authenticatorUrl });
    const ended = new Promise<Error & { code?: string }>((resolve) => idle.on("error", resolve));
    await idle.connect();
    const [error, idled] = await took(idle.query("begin").then(() => ended));
    expect(error.code).toBe("25P03");
    expect(idled).toBeGreaterThan(9900);
    const [{ errors }, worked] = await slow;
    expect(errors).toMatchObject([
      {
        message: expect.stringContaining("statement_timeout"),
        extensions: { code: "TOO_COMPLEX" },
      },
    ]);
    expect(worked).toBeGreaterThan(9900);
    const { rowCount } = await locker.query("select from app_public.items where title = 'slow'");
    expect(rowCount).toBe(0);
    expect((await items("afterwards")).errors).toEqual([]);
  });
});
