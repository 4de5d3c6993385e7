import type { ExecutionResult } from "graphql-ws";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { openSocket, type Socket } from "../support/subscriptions.ts";
import { until } from "../support/until.ts";

let api: TestApi;
let ann: Account;
let bob: Account;
const sockets: Socket[] = [];

beforeAll(async () => {
  api = await startTestApi({ environment: { ALLOWED_ORIGINS: "https://app.example.com" } });
  ann = await api.signUp();
  bob = await api.signUp();
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});
afterAll(() => api.stop());

const RECEIVED =
  "subscription { notificationReceived { notification { id message users readAt } } }";

function open(options: { authorization?: string; origin?: string } = {}): Socket {
  const socket = openSocket(api.url, options);
  sockets.push(socket);
  return socket;
}

/** Sends to these users and lets their inbox have it, as the worker would. */
async function send(users: number[], message: string): Promise<number> {
  const { rows } = await api.database.owner.query(
    "select id from app_private.notify($1, 'test.event', $2)",
    [users, message],
  );
  await api.database.owner.query("select app_private.fan_out_notification($1, 1000)", [rows[0].id]);
  return rows[0].id;
}

function messageOf(event: ExecutionResult): string | undefined {
  const received = event.data?.notificationReceived as { notification: { message: string } };
  return received?.notification.message;
}

/** A subscription that is known to be in force: it has received something. */
async function subscribed(account: Account) {
  const subscription = open({ authorization: `Bearer ${account.token}` }).subscribe(RECEIVED);
  const first = subscription.next(10_000);
  let arrived = false;
  void first.then(() => {
    arrived = true;
  });
  await until(
    async () => {
      if (!arrived) await send([account.userId], "probe");
      return arrived;
    },
    (done) => done,
  );
  await first;
  // Probes that were under way end with one whose text nobody else sends.
  const marker = `marker ${Math.random()}`;
  await send([account.userId], marker);
  for (;;) {
    if (messageOf(await subscription.next()) === marker) return subscription;
  }
}

describe("notificationReceived", () => {
  it("brings a user what reaches their inbox, read again as that user", async () => {
    const subscription = await subscribed(ann);
    const id = await send([ann.userId, bob.userId], "Hello");
    expect(await subscription.next()).toEqual({
      data: {
        notificationReceived: {
          notification: { id, message: "Hello", users: [ann.userId], readAt: null },
        },
      },
    });
  });

  it("brings nobody what is for others", async () => {
    const mine = await subscribed(ann);
    const theirs = await subscribed(bob);
    await send([bob.userId], "For Bob");
    await send([ann.userId], "For Ann");
    expect(messageOf(await mine.next())).toBe("For Ann");
    expect(messageOf(await theirs.next())).toBe("For Bob");
  });

  it("reaches one of 1,200 recipients of one notification", async () => {
    const subscription = await subscribed(bob);
    const { rows } = await api.database.owner.query(
      `insert into app_public.users (first_name) select 'Many' from generate_series(1, 1199)
       returning id`,
    );
    await send([bob.userId, ...rows.map(({ id }) => id as number)], "To many");
    const event = await subscription.next();
    expect(event.data).toMatchObject({
      notificationReceived: { notification: { message: "To many" } },
    });
  });

  it("notificationRead tells every device of a user what was read on one, and nobody else's", async () => {
    const authorization = `Bearer ${ann.token}`;
    const socket = open({ authorization });
    const read = socket.subscribe(
      "subscription { notificationRead { notification { id readAt } } }",
    );
    // Both are of one socket, in this order: when the second brings something, the first is in force.
    const received = socket.subscribe(RECEIVED);
    const first = received.next(10_000);
    let arrived = false;
    void first.then(() => {
      arrived = true;
    });
    await until(
      async () => {
        if (!arrived) await send([ann.userId], "probe");
        return arrived;
      },
      (done) => done,
    );
    const theirs = await send([bob.userId], "For Bob");
    const id = await send([ann.userId, bob.userId], "To be read");
    const mark = (token: string, ids: number[]) =>
      api.graphql(
        `mutation { markNotificationsRead(input: {ids: ${JSON.stringify(ids)}}) { clientMutationId } }`,
        { token },
      );
    await mark(bob.token, [id, theirs]);
    await mark(ann.token, [id]);
    expect(await read.next()).toEqual({
      data: { notificationRead: { notification: { id, readAt: expect.any(String) } } },
    });
  });

  it("of nobody is UNAUTHENTICATED", async () => {
    const { errors } = await open().subscribe(RECEIVED).next();
    expect(errors).toMatchObject([{ extensions: { code: "UNAUTHENTICATED" } }]);
  });

  it("says so when events may have been missed, and works again once resubscribed", async () => {
    const subscription = await subscribed(ann);
    const client = new pg.Client({ connectionString: api.database.superuserUrl });
    await client.connect();
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'howdah live events' and datname = current_database()`,
    );
    await client.end();
    const end = await Promise.race([subscription.next(), subscription.ended]);
    expect(end).toMatchObject(
      Array.isArray(end)
        ? [{ extensions: { code: "UNAVAILABLE" } }]
        : { errors: [{ extensions: { code: "UNAVAILABLE" } }] },
    );
    await until(
      async () => (await fetch(`${api.opsUrl}/ready`)).status,
      (status) => status === 200,
    );
    await subscribed(ann);
  });
});

describe("initialEvent", () => {
  it.each(["notificationReceived", "notificationRead"])("comes first, %s", async (field) => {
    const subscription = open({ authorization: `Bearer ${ann.token}` }).subscribe(
      `subscription { ${field}(initialEvent: true) { notification { message } } }`,
    );
    expect(await subscription.next()).toEqual({ data: { [field]: { notification: null } } });
    if (field === "notificationReceived") {
      await send([ann.userId], "after");
      expect(messageOf(await subscription.next())).toBe("after");
    }
  });
});

describe("a WebSocket", () => {
  it("answers queries as over HTTP", async () => {
    const { next } = open({ authorization: `Bearer ${ann.token}` }).subscribe("{ me { id } }");
    expect(await next()).toEqual({ data: { me: { id: ann.userId } } });
  });

  it.each([
    ["a bad token", async () => "Bearer nonsense"],
    ["no bearer", async () => "nonsense"],
    ["an authorization that is no text", async () => ({ Bearer: "x" }) as unknown as string],
    [
      "the token of a session that has ended",
      async () => {
        const { token } = await api.signUp();
        await api.graphql("mutation { logOut(input: {}) { clientMutationId } }", { token });
        return `Bearer ${token}`;
      },
    ],
  ])("with %s is closed with 4403", async (_what, authorization) => {
    expect(await open({ authorization: await authorization() }).closed).toMatchObject({
      code: 4403,
    });
  });

  it("from a foreign origin is refused, from an allowed one it is not", async () => {
    const foreign = await open({ origin: "https://evil.example" }).closed;
    expect(foreign.code).toBe(1006);
    const { next } = open({ origin: "https://app.example.com" }).subscribe("{ __typename }");
    expect(await next()).toEqual({ data: { __typename: "Query" } });
  });

  it("with a message over 100 kB is closed with 1009", async () => {
    const socket = new WebSocket(
      `${api.url.replace("http", "ws")}/graphql`,
      "graphql-transport-ws",
    );
    await new Promise((resolve) => socket.once("open", resolve));
    socket.send(JSON.stringify({ type: "connection_init", payload: { x: "x".repeat(200_000) } }));
    const code = await new Promise((resolve) => socket.once("close", resolve));
    expect(code).toBe(1009);
  });

  it("on another path, or with another protocol, is refused", async () => {
    const refused = (path: string, protocol: string) =>
      new Promise<string>((resolve) => {
        const socket = new WebSocket(api.url.replace("http", "ws") + path, protocol);
        socket.on("error", (error) => resolve(error.message));
        socket.on("open", () => resolve("open"));
      });
    expect(await refused("/other", "graphql-transport-ws")).toContain("404");
    expect(await refused("/graphql", "graphql-ws")).not.toBe("open");
  });

  it("is closed with 1001 when the API goes away", async () => {
    const other = await startTestApi();
    const socket = openSocket(other.url);
    const { next } = socket.subscribe("{ __typename }");
    await next();
    await other.stop();
    expect(await socket.closed).toMatchObject({ code: 1001 });
  });

  it.each([
    ["log-out", "logOut(input: {}) { clientMutationId }"],
    ["logOutEverywhere", "logOutEverywhere(input: {}) { clientMutationId }"],
  ])("of a revoked session is closed with 4403 within 5 s of %s", async (_what, mutation) => {
    const carl = await api.signUp();
    const socket = open({ authorization: `Bearer ${carl.token}` });
    await socket.subscribe("{ me { id } }").next();
    const began = Date.now();
    await api.graphql(`mutation { ${mutation} }`, { token: carl.token });
    expect(await socket.closed).toMatchObject({ code: 4403 });
    expect(Date.now() - began).toBeLessThan(5000);
  });

  it("is closed with 4403 when its session ended while live events were interrupted", async () => {
    const dora = await api.signUp();
    const socket = open({ authorization: `Bearer ${dora.token}` });
    await socket.subscribe("{ me { id } }").next();
    const client = new pg.Client({ connectionString: api.database.superuserUrl });
    await client.connect();
    await client.query("begin");
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'howdah live events' and datname = current_database()`,
    );
    await client.query(
      "update app_public.sessions set revoked_at = now(), revoked_reason = 'x' where user_id = $1",
      [dora.userId],
    );
    await client.query("commit");
    await client.end();
    expect(await socket.closed).toMatchObject({ code: 4403 });
  });
});
