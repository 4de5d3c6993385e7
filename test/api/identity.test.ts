import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { annAndBob, expectNoLeak } from "../support/identities.ts";

let api: TestApi;
let ann: Account;
let bob: Account;

beforeAll(async () => {
  // Two connections for all of them: whoever comes next gets the one that somebody has just used.
  api = await startTestApi({ poolSize: 2 });
  ({ ann, bob } = await annAndBob(api));
});
afterAll(() => api.stop());

describe("identity", () => {
  it("never leaks between 1,000 interleaved requests of two users and of nobody over two connections, errors included", async () => {
    await expectNoLeak(api, ann, bob);
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
