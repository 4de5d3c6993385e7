import pg from "pg";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createTestDatabase } from "../support/database.ts";
import { createKit, useKit } from "./kit.ts";

const { asUser, asOwner, createUser, expectDenied, freezeTime } = useKit();
const NEW_YEAR = new Date("2030-01-01T00:00:00.000Z");
let ada: number;

beforeAll(async () => {
  ada = await createUser();
  await asOwner(`
    create table app_public.offers (
      id int generated always as identity primary key,
      made_at timestamptz not null default now(),
      ends_at timestamptz not null
    );
    alter table app_public.offers enable row level security;
    create policy select_open on app_public.offers for select to howdah_user using (ends_at > now());
    grant select on app_public.offers to howdah_user;
    create function app_public.pinned() returns timestamptz[] language plpgsql volatile
      security definer set search_path = pg_catalog, public, pg_temp as $$
      declare
        v_clock timestamptz = clock_timestamp();
      begin
        return array[now(), transaction_timestamp(), statement_timestamp(), v_clock];
      end $$;
    grant execute on function app_public.pinned() to howdah_user;
    insert into app_public.offers (ends_at) values ('2030-01-01T00:00:01Z')`);
});

describe("freezeTime", () => {
  it("holds now() in defaults, policies and functions with a pinned search_path", async () => {
    const offer = "select made_at from app_public.offers";
    expect((await asUser(ada, offer)).rowCount).toBe(1);
    await freezeTime(NEW_YEAR);
    expect((await asUser(ada, offer)).rowCount).toBe(1);
    const { rows: made } = await asOwner(
      "insert into app_public.offers (ends_at) values ('2020-01-01') returning made_at",
    );
    expect(made).toEqual([{ made_at: NEW_YEAR }]);
    const { rows } = await asUser(ada, "select app_public.pinned() as times");
    expect(rows[0].times).toEqual(Array(4).fill(NEW_YEAR));
    await freezeTime("2030-01-01T00:00:01Z");
    await expectDenied(asUser(ada, offer), "no rows");
  });

  it("holds Date in this process", async () => {
    await freezeTime(NEW_YEAR);
    expect(Date.now()).toBe(NEW_YEAR.getTime());
  });

  it("ends with its test", async () => {
    expect(Math.abs(Date.now() - performance.timeOrigin - performance.now())).toBeLessThan(60_000);
    const { rows } = await asUser(ada, "select now() as now, (app_public.pinned())[4] as clock");
    for (const time of [rows[0].now, rows[0].clock]) {
      expect(Math.abs(time.getTime() - Date.now())).toBeLessThan(60_000);
    }
  });

  it("reaches connections with plans that they made before", async () => {
    const database = await createTestDatabase();
    const client = new pg.Client({ connectionString: database.ownerUrl });
    onTestFinished(async () => {
      await client.end();
      await database.drop();
    });
    await client.connect();
    await client.query(`create function app_public.asked() returns timestamptz language plpgsql stable
      as 'declare v_now timestamptz = now(); begin return v_now; end'`);
    const text = "select now() as now, app_public.asked() as asked";
    const ask = async () => (await client.query({ name: "ask", text })).rows[0];
    // From the sixth time on PostgreSQL keeps the plan.
    for (let time = 0; time < 7; time += 1) expect((await ask()).now).not.toEqual(NEW_YEAR);
    await createKit(() => database).freezeTime(NEW_YEAR);
    expect(await ask()).toEqual({ now: NEW_YEAR, asked: NEW_YEAR });
  });

  it("refuses to be half a truth: current_date goes on, so it is named", async () => {
    await asOwner(`create function app_public.today() returns date language sql stable
      as 'select current_date'`);
    await expect(freezeTime(NEW_YEAR)).rejects.toThrow(
      "Time cannot be frozen. Write now() instead of current_date in app_public.today().",
    );
    await asOwner("drop function app_public.today()");
  });

  it("takes times only", async () => {
    await expect(freezeTime("tomorrow")).rejects.toThrow("tomorrow is no time.");
  });
});
