import { generateKeyPairSync } from "node:crypto";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { createClient, GraphQLRequestError, type Tokens } from "../../examples/client/client.ts";
import {
  CreateItemDocument,
  ItemChangedDocument,
  ItemsDocument,
} from "../../examples/client/generated.ts";
import { startTestApi, type TestApi } from "../support/api.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const PASSWORD = "correct horse battery";
let database: TestDatabase;
let api: TestApi;
const closing: (() => Promise<void>)[] = [];

/** What an API that comes back has as before. */
const KEY = {
  PUBLIC_URL: "https://api.example.com",
  JWT_PRIVATE_KEY: generateKeyPairSync("ec", { namedCurve: "P-256" })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString(),
};

beforeAll(async () => {
  database = await createTestDatabase();
  api = await startTestApi({ database, environment: KEY });
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
afterAll(() => api.stop());

function newClient(
  options: { tokens?: Tokens; onTokens?: (tokens: Tokens | undefined) => void } = {},
) {
  const client = createClient({ url: `${api.url}/graphql`, webSocketImpl: WebSocket, ...options });
  closing.push(() => client.close());
  return client;
}

async function signedUp() {
  const email = `client-${Math.random().toString(36).slice(2)}@example.com`;
  const client = newClient();
  await client.signUp({ email, password: PASSWORD, firstName: "Client" });
  return { client, email };
}

const create = (client: ReturnType<typeof newClient>, title: string) =>
  client.request(CreateItemDocument, { input: { item: { title } } });

async function refreshes(): Promise<number> {
  const { rows } = await database.owner.query(
    "select count(*)::int as count from app_private.refresh_tokens where generation > 0",
  );
  return rows[0].count;
}

describe("examples/client", () => {
  it("signs up, logs in, creates and reads, with types", async () => {
    const { email } = await signedUp();
    const client = newClient();
    await client.logIn({ identifier: email, password: PASSWORD });
    await create(client, "typed");
    const { items } = await client.request(ItemsDocument, { first: 10 });
    expect(items?.nodes.map((item) => item?.title)).toEqual(["typed"]);
  });

  it("says what was wrong by its code and field", async () => {
    const { client } = await signedUp();
    const error = await create(client, "").catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(GraphQLRequestError);
    expect(error).toMatchObject({ code: "BAD_USER_INPUT", field: "title" });
  });

  it("refreshes once where 20 requests find the token too old at once", async () => {
    const { client } = await signedUp();
    const before = await refreshes();
    const old = { ...(client.tokens() as Tokens), expiresAt: Date.now() };
    const kept: (Tokens | undefined)[] = [];
    const again = newClient({ tokens: old, onTokens: (tokens) => kept.push(tokens) });
    await Promise.all(Array.from({ length: 20 }, () => again.request(ItemsDocument, { first: 1 })));
    expect((await refreshes()) - before).toBe(1);
    expect(kept).toHaveLength(1);
    expect(kept[0]?.refreshToken).not.toBe(old.refreshToken);
  });

  it("refreshes and asks once more where the server does not take the token any more", async () => {
    const { client } = await signedUp();
    const tokens = { ...(client.tokens() as Tokens), accessToken: "x.y.z" };
    const again = newClient({ tokens });
    await Promise.all([1, 2, 3].map(() => again.request(ItemsDocument, { first: 1 })));
    expect(again.tokens()?.accessToken).not.toBe("x.y.z");
  });

  it("forgets its tokens where the session has ended, and says so", async () => {
    const { client } = await signedUp();
    await database.owner.query(
      "update app_public.sessions set revoked_at = now(), revoked_reason = 'test' where revoked_at is null",
    );
    const tokens = { ...(client.tokens() as Tokens), expiresAt: 0 };
    const kept: (Tokens | undefined)[] = [];
    const again = newClient({ tokens, onTokens: (next) => kept.push(next) });
    await expect(again.request(ItemsDocument, { first: 1 })).rejects.toMatchObject({
      code: "SESSION_REVOKED",
    });
    expect(kept).toEqual([undefined]);
  });

  it("subscriptions connect again when the API has been away, and say when to fetch again", async () => {
    const { client } = await signedUp();
    const titles: (string | undefined)[] = [];
    let gaps = 0;
    const stop = client.subscribe(
      ItemChangedDocument,
      {},
      {
        onData: ({ itemChanged }) => {
          if (itemChanged?.operation) titles.push(itemChanged.item?.title);
        },
        onGap: () => {
          gaps += 1;
        },
      },
    );
    await expect.poll(() => gaps).toBe(1);
    await create(client, "before");
    await expect.poll(() => titles).toEqual(["before"]);
    const port = new URL(api.url).port;
    await api.stop();
    api = await startTestApi({ database, environment: { ...KEY, PORT: port } });
    await expect.poll(() => gaps, { timeout: 15_000 }).toBeGreaterThan(1);
    await expect
      .poll(
        async () => {
          await create(client, "after");
          return titles.includes("after");
        },
        { timeout: 15_000 },
      )
      .toBe(true);
    stop();
  });

  it("subscriptions that connect again fetch after the server has heard them, so that nothing is missed", async () => {
    const { client } = await signedUp();
    const order: string[] = [];
    const stop = client.subscribe(
      ItemChangedDocument,
      {},
      {
        onData: ({ itemChanged }) => order.push(itemChanged?.operation ?? "initial"),
        onGap: () => order.push("gap"),
      },
    );
    await expect.poll(() => order).toEqual(["gap", "initial"]);
    const superuser = new pg.Client({ connectionString: database.superuserUrl });
    await superuser.connect();
    await superuser.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'howdah live events' and datname = current_database()`,
    );
    await superuser.end();
    await expect
      .poll(() => order, { timeout: 10_000 })
      .toEqual(["gap", "initial", "gap", "initial"]);
    stop();
  });

  it("a session that ends is told as that, once, and nobody is connected as nobody", async () => {
    const { client } = await signedUp();
    const heard: string[] = [];
    const ended = new Promise<unknown>((resolve) => {
      client.subscribe(
        ItemChangedDocument,
        {},
        {
          onData: ({ itemChanged }) => heard.push(itemChanged?.operation ?? "initial"),
          onGap: () => heard.push("gap"),
          onEnd: (error) => {
            heard.push("end");
            resolve(error);
          },
        },
      );
    });
    await expect.poll(() => heard).toEqual(["gap", "initial"]);
    const { rows } = await database.owner.query(
      "select user_id from app_public.sessions where revoked_at is null order by id desc limit 1",
    );
    await database.owner.query(
      "update app_public.sessions set revoked_at = now(), revoked_reason = 'test' where user_id = $1",
      [rows[0].user_id],
    );
    expect(await ended).toMatchObject({ code: "SESSION_REVOKED" });
    expect(heard).toEqual(["gap", "initial", "end"]);
    await expect(client.request(ItemsDocument, { first: 1 })).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
  }, 15_000);

  it("subscriptions go on with another token where theirs is not taken any more", async () => {
    const { client } = await signedUp();
    const again = newClient({ tokens: { ...(client.tokens() as Tokens), accessToken: "x.y.z" } });
    let gaps = 0;
    const stop = again.subscribe(
      ItemChangedDocument,
      {},
      {
        onData: () => {},
        onGap: () => {
          gaps += 1;
        },
      },
    );
    await expect.poll(() => gaps, { timeout: 10_000 }).toBeGreaterThan(0);
    stop();
  });
});
