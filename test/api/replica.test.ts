import { generateKeyPairSync } from "node:crypto";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withUser } from "../../src/database/connections.ts";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import type { TestDatabase } from "../support/database.ts";
import { TEST_PASSWORD } from "../support/global-setup.ts";
import { createOwnServer, type OwnServer, startReplica } from "../support/standby.ts";
import { openSocket } from "../support/subscriptions.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let replica: OwnServer;
let standby: pg.Pool;
/** Two processes, as behind a load balancer. */
let api: TestApi;
let other: TestApi;
let ada: Account;
let bob: Account;
/** Items of Ada's that the replica has and the primary has not: who sees it has read from the replica. */
const names = { replica: "as it was", primary: "as it is" };

beforeAll(async () => {
  database = await createOwnServer();
  replica = await startReplica(database.superuserUrl);
  standby = new pg.Pool({ connectionString: replica.superuserUrl, max: 1 });
  standby.on("error", () => {
    // It is stopped below.
  });
  const environment = {
    // The tokens of one are good for the other.
    JWT_PRIVATE_KEY: generateKeyPairSync("ec", { namedCurve: "P-256" })
      .privateKey.export({ type: "pkcs8", format: "pem" })
      .toString(),
    READ_DATABASE_URL: withUser(replica.superuserUrl, "howdah_authenticator", TEST_PASSWORD),
  };
  const logger = pino({ level: "silent" });
  api = await startTestApi({ database, environment, logger });
  other = await startTestApi({ database, environment, logger });
  ada = await api.signUp("ada@example.com");
  bob = await api.signUp("bob@example.com");
  await rename(ada, names.replica);
  await forgetWrites();
}, 60_000);
afterAll(async () => {
  await api?.stop();
  await other?.stop();
  await standby?.end();
  await replica?.remove();
  await database?.drop();
});

const firstName = async (who: Account, where = api, headers: Record<string, string> = {}) =>
  (await where.graphql("{ me { firstName } }", { token: who.token, headers })).data?.me?.firstName;

const rename = async (who: Account, firstName: string, where = api) =>
  where.graphql(
    `mutation { updateMe(input: {patch: {firstName: "${firstName}"}}) { user { id } } }`,
    { token: who.token },
  );

/** By somebody else, such as an operator: no change of her own. */
const renameBehindTheirBack = (who: Account, firstName: string) =>
  database.owner.query("update app_public.users set first_name = $2 where id = $1", [
    who.userId,
    firstName,
  ]);

/** As a minute later. */
const forgetWrites = () =>
  database.owner.query("update app_private.last_writes set written_at = now() - interval '1 hour'");

const reads = async (where: TestApi, from: string) => {
  const text = await (await fetch(`${where.opsUrl}/metrics`)).text();
  return Number(
    new RegExp(`^howdah_reads_total\\{from="${from}"\\} (\\d+)`, "m").exec(text)?.[1] ?? 0,
  );
};

/** Whether reads of this process go to the replica by now. */
const usesReplica = (where = api) =>
  until(
    async () => {
      const before = await reads(where, "replica");
      await firstName(bob, where);
      return (await reads(where, "replica")) > before;
    },
    (is) => is,
    20_000,
  );

/** Runs it while the replica stands still: what is committed meanwhile is not to be seen there. */
async function whileBehind(run: () => Promise<void>): Promise<void> {
  await caughtUp();
  await usesReplica(api);
  await usesReplica(other);
  await standby.query("select pg_wal_replay_pause()");
  await until(
    async () => (await standby.query("select pg_get_wal_replay_pause_state() as is")).rows[0].is,
    (is) => is === "paused",
  );
  try {
    await run();
  } finally {
    await standby.query("select pg_wal_replay_resume()");
  }
}

async function caughtUp(): Promise<void> {
  const { rows } = await database.owner.query("select pg_current_wal_insert_lsn() as lsn");
  // What is committed without a flush is sent a moment later.
  await database.owner.query("select pg_logical_emit_message(false, 'test', '', true)");
  await until(
    async () =>
      (await standby.query("select pg_last_wal_replay_lsn() >= $1 as is", [rows[0].lsn])).rows[0]
        .is,
    (is) => is,
  );
}

describe("with a streaming replica", () => {
  it("queries are answered by the replica", async () => {
    await whileBehind(async () => {
      await renameBehindTheirBack(ada, names.primary);
      expect(await firstName(ada)).toBe(names.replica);
      expect(await firstName(ada, other)).toBe(names.replica);
    });
    await caughtUp();
    expect(await firstName(ada)).toBe(names.primary);
  });

  it("a user sees their own change at once, whichever process they ask, and others go on reading there", async () => {
    await whileBehind(async () => {
      await rename(ada, "Changed");
      await renameBehindTheirBack(bob, "Bobby");
      expect(await firstName(ada)).toBe("Changed");
      expect(await firstName(ada, other)).toBe("Changed");
      expect(await firstName(bob, other)).toBe("Person");
    });
    // And is back at the replica as soon as it has the change, not a fixed time later.
    await caughtUp();
    const before = await reads(other, "replica");
    expect(await firstName(ada, other)).toBe("Changed");
    expect(await reads(other, "replica")).toBe(before + 1);
  });

  it("who has just signed up finds themself there", async () => {
    await whileBehind(async () => {
      const carol = await api.signUp("carol@example.com");
      expect(await firstName(carol, other)).toBe("Person");
    });
  });

  it("a session that has ended is refused at once, though the replica knows nothing of it", async () => {
    const eve = await api.signUp("eve@example.com");
    await whileBehind(async () => {
      await api.graphql("mutation { logOut(input: {}) { clientMutationId } }", {
        token: eve.token,
      });
      const { status, errors } = await other.graphql("{ me { id } }", { token: eve.token });
      expect([status, errors[0]?.extensions.code]).toEqual([401, "SESSION_REVOKED"]);
    });
  });

  it("subscriptions read their rows from the primary, as do WebSockets and who asks not to be shown what is old", async () => {
    await whileBehind(async () => {
      const socket = openSocket(api.url, { authorization: `Bearer ${bob.token}` });
      const events = socket.subscribe(
        "subscription { itemChanged(initialEvent: true) { operation item { title } } }",
      );
      await events.next();
      // What is fetched after the initial event misses no change before it.
      await forgetWrites();
      const { rows } = await database.owner.query(
        "insert into app_public.items (user_id, title) values ($1, 'New') returning id",
        [bob.userId],
      );
      expect(await events.next()).toMatchObject({
        data: { itemChanged: { operation: "INSERT", item: { title: "New" } } },
      });
      const query = `query { item(id: ${rows[0].id}) { title } }`;
      expect(await socket.subscribe(query).next()).toMatchObject({
        data: { item: { title: "New" } },
      });
      const asked = (headers: Record<string, string>) =>
        other.graphql(query, { token: bob.token, headers });
      expect((await asked({ "cache-control": "no-cache" })).data.item).toEqual({ title: "New" });
      expect((await asked({})).data.item).toBeNull();
      socket.close();
    });
  });

  it("what is fetched after a subscription's first event is no older than it", async () => {
    await caughtUp();
    await forgetWrites();
    await whileBehind(async () => {
      await renameBehindTheirBack(bob, "Before");
      const socket = openSocket(api.url, { authorization: `Bearer ${bob.token}` });
      const events = socket.subscribe(
        "subscription { notificationReceived(initialEvent: true) { notification { id } } }",
      );
      await events.next();
      expect(await firstName(bob, other)).toBe("Before");
      socket.close();
    });
  });

  it("a replica that is too far behind is not read from, until it has caught up", async () => {
    await forgetWrites();
    await whileBehind(async () => {
      await renameBehindTheirBack(ada, "Much later");
      await until(
        () => firstName(ada),
        (name) => name === "Much later",
        20_000,
      );
    });
    await usesReplica();
  });

  it("a replica that is away costs no request, and is used again when it is back", async () => {
    await usesReplica();
    await replica.stop();
    for (let index = 0; index < 20; index += 1) {
      expect(await firstName(ada)).toBe("Much later");
    }
    expect((await fetch(`${api.opsUrl}/ready`)).status).toBe(200);
    await replica.start();
    await usesReplica();
  }, 60_000);
});
