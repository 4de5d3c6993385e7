import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startTestApi } from "../support/api.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database.drop());

/** What `me` gives a user, and nobody, of an API that starts once this has been run. */
async function meAfter(sql: string) {
  await database.owner.query(sql);
  const api = await startTestApi({ database });
  try {
    const { token } = await api.signUp();
    const query = "{ me { firstName } }";
    const user = await api.graphql(query, { token });
    const nobody = await api.graphql(query);
    expect(nobody.errors).toEqual([]);
    expect(nobody.data?.me).toBeNull();
    return { me: user.data?.me, code: user.errors[0]?.extensions.code };
  } finally {
    await api.stop();
  }
}

describe("`me` is what app_public.me() says", () => {
  it("as it was shipped: one's own row, without a call of it", async () => {
    // A call would fail: a definer function may not change the role.
    const { me } = await meAfter("alter function app_public.me() set role = 'howdah_user'");
    expect(me).toMatchObject({ firstName: expect.any(String) });
  });

  it("written anew: what it says now", async () => {
    const { me, code } = await meAfter(`
      create or replace function app_public.me() returns app_public.users
      language sql stable security definer parallel safe set search_path = pg_catalog, public, pg_temp
      as $$ select u from app_public.users u where u.id = app_public.current_user_id() and false $$`);
    expect({ me, code }).toEqual({ me: null, code: undefined });
  });

  it("where the table shows nobody a row: still one's own", async () => {
    const { me } = await meAfter("drop policy select_own on app_public.users");
    expect(me).toMatchObject({ firstName: expect.any(String) });
  });
});
