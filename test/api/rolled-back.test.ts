import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let ann: Account;

beforeAll(async () => {
  api = await startTestApi();
  ann = await api.signUp();
  // Rolls back as often as a sequence says, which does not roll back itself.
  await api.database.owner.query(`
    create sequence app_private.give_way_until minvalue 0;
    grant usage on sequence app_private.give_way_until to howdah_user;
    create function app_private.give_way() returns boolean language plpgsql security definer
      set search_path to pg_catalog, pg_temp as $$
    begin
      if nextval('app_private.give_way_until') < 100 then
        raise exception 'Another goes first.' using errcode = 'deadlock_detected';
      end if;
      return true;
    end; $$;
    create function app_private.give_way_first() returns trigger language plpgsql security definer
      set search_path to pg_catalog, pg_temp as $$
    begin
      perform app_private.give_way();
      return new;
    end; $$;
    create trigger give_way_first before insert or update on app_public.items for each row
      execute function app_private.give_way_first();
    create trigger give_way_first before update on app_public.users for each row
      execute function app_private.give_way_first()`);
});
afterAll(() => api.stop());

const rollBack = (times: number) =>
  api.database.owner.query("select setval('app_private.give_way_until', $1, false)", [100 - times]);
const create = (title: string) =>
  api.graphql(
    "mutation ($title: String!) { createItem(input: {item: {title: $title}}) { item { title } } }",
    { token: ann.token, variables: { title } },
  );
const items = async () => (await api.database.owner.query("select from app_public.items")).rowCount;

describe("a transaction that PostgreSQL rolls back in favour of another", () => {
  it("is run again: its client hears nothing of it, and it is done once", async () => {
    for (let n = 1; n <= 3; n += 1) {
      await rollBack(2);
      const { data, errors } = await create(`T${n}`);
      expect(errors).toEqual([]);
      expect(data.createItem.item.title).toBe(`T${n}`);
      expect(await items()).toBe(n);
    }
  });

  it("is run again where it is Howdah's own mutation, too", async () => {
    await rollBack(2);
    const { data, errors } = await api.graphql(
      'mutation { updateMe(input: {patch: {lastName: "L"}}) { user { lastName } } }',
      { token: ann.token },
    );
    expect(errors).toEqual([]);
    expect(data.updateMe.user.lastName).toBe("L");
  });

  it("three times is a CONFLICT, and nothing is done", async () => {
    const before = await items();
    await rollBack(3);
    const { errors } = await create("never");
    expect(errors.map(({ extensions }) => extensions.code)).toEqual(["CONFLICT"]);
    expect(await items()).toBe(before);
  });
});
