import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let ann: Account;
let bob: Account;

beforeAll(async () => {
  // Two connections for all of them: whoever comes next gets the one that somebody has just used.
  api = await startTestApi({ poolSize: 2 });
  ann = await api.signUp("ann@example.com");
  bob = await api.signUp("bob@example.com");
  for (const [person, title] of [
    [ann, "Ann's"],
    [bob, "Bob's"],
  ] as const) {
    await api.graphql(
      `mutation { createItem(input: {item: {title: "${title}"}}) { item { id } } }`,
      {
        token: person.token,
      },
    );
  }
});
afterAll(() => api.stop());

describe("identity", () => {
  it("never leaks between 1,000 interleaved requests of two users and of nobody over two connections, errors included", async () => {
    const query = "{ me { id email } items { nodes { title userId } } }";
    const failing = 'mutation { createItem(input: {item: {title: ""}}) { item { id } } }';
    const seen = { ann: 0, bob: 0, nobody: 0, errors: 0 };
    const ask = async (i: number) => {
      const person = [ann, bob, undefined][i % 3];
      if (i % 7 === 0) {
        const { errors } = await api.graphql(failing, { token: person?.token });
        expect(errors[0]?.extensions.code).toBe(person ? "BAD_USER_INPUT" : "UNAUTHENTICATED");
        seen.errors += 1;
        return;
      }
      const { data, errors } = await api.graphql(query, { token: person?.token });
      if (!person) {
        expect(data.me).toBeNull();
        expect(data.items).toBeNull();
        expect(errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
        seen.nobody += 1;
        return;
      }
      expect(errors).toEqual([]);
      expect(data.me).toEqual({ id: person.userId, email: person.email });
      expect(data.items.nodes).toEqual([
        { title: person === ann ? "Ann's" : "Bob's", userId: person.userId },
      ]);
      seen[person === ann ? "ann" : "bob"] += 1;
    };
    for (let batch = 0; batch < 1000; batch += 20) {
      await Promise.all(Array.from({ length: 20 }, (_, i) => ask(batch + i)));
    }
    expect(Object.values(seen).every((count) => count > 100)).toBe(true);
    expect(Object.values(seen).reduce((sum, count) => sum + count)).toBe(1000);
    const { rows } = await api.database.owner.query(
      "select count(*)::int as count from pg_stat_activity where application_name = 'howdah api' and datname = current_database()",
    );
    expect(rows[0].count).toBeLessThanOrEqual(2);
  }, 60_000);

  it("is one of the three roles in every request, and the authenticator again afterwards", async () => {
    const pg = await import("pg");
    const { createWithPgClient } = await import("../../src/database/adaptor.ts");
    const pool = new pg.default.Pool({
      connectionString: api.database.authenticatorUrl,
      max: 1,
      pipeline: true,
    } as never);
    const withPgClient = createWithPgClient(pool, new WeakSet());
    const role = {
      text: "select current_user as role, current_setting('jwt.claims.user_id', true) as id",
    };
    const inside = await withPgClient(
      { role: "howdah_user", "jwt.claims.user_id": "7", "jwt.claims.session_id": "" },
      async (client) => (await client.query<{ role: string; id: string }>(role)).rows[0],
    );
    expect(inside).toEqual({ role: "howdah_user", id: "7" });
    const { rows } = await pool.query(role.text);
    expect(rows[0]).toEqual({ role: "howdah_authenticator", id: "" });
    await expect(withPgClient({ role: "" }, async () => 1)).rejects.toThrow("must have a role");
    await expect(
      withPgClient({ role: "postgres" }, (client) => client.query(role)),
    ).rejects.toMatchObject({ code: "42501" });
    expect((await pool.query(role.text)).rows[0].role).toBe("howdah_authenticator");
    await pool.end();
  });
});
