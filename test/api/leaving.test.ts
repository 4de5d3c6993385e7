import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, PASSWORD, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.stop());

describe("leaving", () => {
  const remove = (token: string, password?: string) =>
    api.graphql(
      `mutation { deleteAccount(input: {${password === undefined ? "" : `password: "${password}"`}}) { clientMutationId } }`,
      { token },
    );

  it("exportMyData gives all that is kept of a user, of nobody else, and no secret", async () => {
    const account = await api.signUp();
    await api.graphql('mutation { createItem(input: {item: {title: "Mine"}}) { item { id } } }', {
      token: account.token,
    });
    await api.graphql(
      'mutation { registerDevice(input: {token: "export-phone", deviceType: WEB}) { deviceToken { id } } }',
      { token: account.token },
    );
    const { data } = await api.graphql("mutation { exportMyData(input: {}) { data } }", {
      token: account.token,
    });
    const exported = data.exportMyData.data;
    expect(exported.user).toMatchObject({ id: account.userId, email: account.email });
    expect(exported.items).toMatchObject([{ title: "Mine" }]);
    expect(exported.device_tokens).toHaveLength(1);
    expect(exported.sessions).toHaveLength(1);
    expect(JSON.stringify(exported)).not.toMatch(/export-phone|argon2|token_hash/);
  });

  /** What is left of a user in each table. */
  async function traces(userId: number) {
    const { rows } = await api.database.owner.query(
      `select u.is_deleted, u.email, u.first_name,
         (select count(*)::int from app_public.sessions where user_id = u.id and revoked_at is null) as sessions,
         (select count(*)::int from app_public.device_tokens where user_id = u.id and disabled_at is null) as devices,
         (select count(*)::int from app_public.oauth2_credentials where user_id = u.id) as identities,
         (select count(*)::int from app_public.items where user_id = u.id) as items,
         (select count(*)::int from app_private.user_secrets where user_id = u.id) as secrets,
         (select count(*)::int from app_private.user_tokens where user_id = u.id) as proofs,
         (select count(*)::int from app_public.notification_recipients where user_id = u.id) as inbox,
         (select count(*)::int from app_public.notification_deliveries
          where user_id = u.id and status in ('queued', 'retrying')) as deliveries
       from app_public.users u where u.id = $1`,
      [userId],
    );
    return rows[0];
  }

  /** Somebody who has one of everything. */
  async function settled(): Promise<Account> {
    const account = await api.signUp();
    const { token, userId } = account;
    await api.graphql('mutation { createItem(input: {item: {title: "Mine"}}) { item { id } } }', {
      token,
    });
    await api.graphql(
      `mutation { registerDevice(input: {token: "phone-${userId}", deviceType: WEB}) { deviceToken { id } } }`,
      { token },
    );
    await api.database.owner.query(
      "insert into app_public.oauth2_credentials (user_id, provider, subject) values ($1::int, 'github', $1::int::text)",
      [userId],
    );
    const { rows } = await api.database.owner.query(
      "select id from app_private.notify($1, 'e', 'm')",
      [[userId]],
    );
    await api.database.owner.query("select app_private.fan_out_notification($1, 1000)", [
      rows[0].id,
    ]);
    return account;
  }
  const ONE_OF_EACH = {
    is_deleted: false,
    sessions: 1,
    devices: 1,
    identities: 1,
    items: 1,
    secrets: 1,
    proofs: 1,
    inbox: 1,
    deliveries: 1,
  };

  it("deleteAccount: one transaction takes sessions, devices, identities, items, pending deliveries", async () => {
    const account = await settled();
    expect(await traces(account.userId)).toMatchObject(ONE_OF_EACH);
    expect((await remove(account.token, PASSWORD)).errors).toEqual([]);
    expect((await api.graphql("{ me { id } }", { token: account.token })).status).toBe(401);
    expect(await traces(account.userId)).toEqual({
      is_deleted: true,
      email: null,
      first_name: "Deleted",
      sessions: 0,
      devices: 0,
      identities: 0,
      items: 0,
      secrets: 0,
      proofs: 0,
      inbox: 0,
      deliveries: 0,
    });
    expect((await api.signUp(account.email)).userId).not.toBe(account.userId);
  });

  it("deleteAccount is one transaction: where a part of it fails, nothing is gone", async () => {
    const account = await settled();
    await api.database.owner.query(`
      create function app_private.tg_test__fail() returns trigger language plpgsql as
        'begin raise exception ''no''; end';
      create trigger _900_fail before delete on app_public.items
        for each row execute function app_private.tg_test__fail()`);
    expect((await remove(account.token, PASSWORD)).errors[0]?.extensions.code).toBe("INTERNAL");
    await api.database.owner.query("drop function app_private.tg_test__fail cascade");
    expect(await traces(account.userId)).toMatchObject(ONE_OF_EACH);
    expect((await api.graphql("{ me { id } }", { token: account.token })).status).toBe(200);
  });

  it("deleteAccount without a password set, log-in older than 10 min, says what to do", async () => {
    const account = await api.signUp();
    await api.database.owner.query(
      "update app_private.user_secrets set password_hash = null where user_id = $1",
      [account.userId],
    );
    const age = (minutes: number) =>
      api.database.owner.query(
        "update app_public.sessions set created_at = now() - make_interval(mins => $2) where user_id = $1",
        [account.userId, minutes],
      );
    await age(11);
    expect((await remove(account.token)).errors[0]).toMatchObject({
      message: "Your log-in is older than ten minutes.",
      extensions: {
        code: "FORBIDDEN",
        hint: "Log in again, or give the password if the account has one.",
      },
    });
    for (const password of ["", PASSWORD]) {
      expect((await remove(account.token, password)).errors[0]).toMatchObject({
        message: "This account has no password.",
        extensions: { code: "FORBIDDEN", field: "password" },
      });
    }
    expect((await api.graphql("{ me { id } }", { token: account.token })).status).toBe(200);
    await age(9);
    expect((await remove(account.token)).errors).toEqual([]);
  });

  it("of a session that has ended is refused before anything happens", async () => {
    const account = await api.signUp();
    await api.graphql("mutation { logOut(input: {}) { clientMutationId } }", {
      token: account.token,
    });
    const refused = await remove(account.token, PASSWORD);
    expect(refused).toMatchObject({
      status: 401,
      errors: [{ extensions: { code: "SESSION_REVOKED" } }],
    });
    const { rows } = await api.database.owner.query(
      "select is_deleted from app_public.users where id = $1",
      [account.userId],
    );
    expect(rows).toEqual([{ is_deleted: false }]);
  });

  it("deleteAccount: fresh log-in of at most 10 min, or the password", async () => {
    const account = await api.signUp();
    await api.database.owner.query(
      "update app_public.sessions set created_at = now() - interval '11 minutes' where user_id = $1",
      [account.userId],
    );
    expect((await remove(account.token)).errors[0]).toMatchObject({
      message: "Your log-in is older than ten minutes.",
      extensions: { code: "FORBIDDEN", field: "password" },
    });
    expect((await remove(account.token, "wrong password")).errors[0]?.extensions.code).toBe(
      "BAD_USER_INPUT",
    );
    expect((await api.graphql("{ me { id } }", { token: account.token })).status).toBe(200);
    const { data } = await api.graphql(
      "mutation ($input: LogInInput!) { logIn(input: $input) { tokens { accessToken } } }",
      { variables: { input: { identifier: account.email, password: PASSWORD } } },
    );
    expect((await remove(data.logIn.tokens.accessToken)).errors).toEqual([]);
  });
});
