import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { annAndBob, expectNoLeak } from "../support/identities.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import { openSocket } from "../support/subscriptions.ts";

/** Connections of PgBouncer to PostgreSQL; the API's to PgBouncer are more. */
const SERVER_CONNECTIONS = 2;

let database: TestDatabase;
let pooler: Awaited<ReturnType<typeof startPgBouncer>>;
let api: TestApi;
let ann: Account;
let bob: Account;

beforeAll(async () => {
  database = await createTestDatabase();
  pooler = await startPgBouncer(database.authenticatorUrl, SERVER_CONNECTIONS);
  api = await startTestApi({ database, authenticatorUrl: pooler.url, poolSize: 10 });
  ({ ann, bob } = await annAndBob(api));
});
afterAll(async () => {
  await api.stop();
  await pooler.stop();
  await database.drop();
});

async function serverConnections(): Promise<number> {
  const { rows } = await database.owner.query(
    `select count(*)::int as count from pg_stat_activity
     where usename = 'howdah_authenticator' and datname = current_database()
       and application_name not in ('howdah live events', 'howdah api health')`,
  );
  return rows[0].count;
}

describe("behind PgBouncer in transaction mode", () => {
  it("1,000 interleaved requests of two users and of nobody over two connections, errors included: nobody sees another's row", async () => {
    await expectNoLeak(api, ann, bob);
    expect(await serverConnections()).toBeLessThanOrEqual(SERVER_CONNECTIONS);
  }, 60_000);

  it("more different operations than a connection keeps prepared, on each connection", async () => {
    const codes = await Promise.all(
      Array.from({ length: 130 }, async (_, n) => {
        const fields = ["id", "title", "description", "data", "isActive", "createdAt", "updatedAt"]
          .filter((_field, bit) => ((n + 1) >> bit) & 1)
          .join(" ");
        const { errors, data } = await api.graphql(
          `{ items(first: 5) { nodes { ${fields || "id"} userId } } }`,
          { token: n % 2 ? ann.token : bob.token },
        );
        const owner = n % 2 ? ann.userId : bob.userId;
        return errors[0]?.extensions.code ?? data.items.nodes[0].userId === owner;
      }),
    );
    expect(new Set(codes)).toEqual(new Set([true]));
  });

  it("mutations commit or leave nothing, and events come by LISTEN_DATABASE_URL", async () => {
    const socket = openSocket(api.url, { authorization: `Bearer ${ann.token}` });
    const changes = socket.subscribe(
      "subscription { itemChanged(initialEvent: true) { operation item { title } } }",
    );
    await changes.next();
    const { errors } = await api.graphql(
      'mutation { a: createItem(input: {item: {title: "Kept"}}) { item { id } } b: createItem(input: {item: {title: ""}}) { item { id } } }',
      { token: ann.token },
    );
    expect(errors).toHaveLength(1);
    expect(await changes.next()).toEqual({
      data: { itemChanged: { operation: "INSERT", item: { title: "Kept" } } },
    });
    socket.close();
    const { rows } = await database.owner.query(
      "select title from app_public.items where user_id = $1 order by id",
      [ann.userId],
    );
    expect(rows.map(({ title }) => title)).toEqual(["Ann's", "Kept"]);
  });

  it("LISTEN is refused at the start, which would stand and hear nothing", async () => {
    const starting = startTestApi({
      database,
      authenticatorUrl: pooler.url,
      listenUrl: pooler.url,
      poolSize: 2,
    });
    await expect(starting).rejects.toThrow(/LISTEN_DATABASE_URL .* not through a pooler/);
  }, 30_000);
});
