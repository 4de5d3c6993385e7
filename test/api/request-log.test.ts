import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createLogger } from "../../src/logger.ts";
import { PASSWORD, startTestApi, type TestApi } from "../support/api.ts";
import { openSocket } from "../support/subscriptions.ts";
import { until } from "../support/until.ts";
import { startTestWorker, type TestWorker } from "../support/worker.ts";

interface Line {
  level: number;
  msg: string;
  id?: string;
  operation?: string;
  [field: string]: unknown;
}

let api: TestApi;
let worker: TestWorker;
let log: string[] = [];
const logger = createLogger({ pretty: false, level: "trace" }, { write: (line) => log.push(line) });
const lines = () => log.map((line) => JSON.parse(line) as Line);
const lineOf = (operation: string) =>
  until(
    async () => lines().find((line) => line.msg === "request" && line.operation === operation),
    (line) => line !== undefined,
  ) as Promise<Line>;

beforeAll(async () => {
  api = await startTestApi({ logger });
  worker = await startTestWorker(api.database, {}, logger);
});
afterAll(async () => {
  await worker.stop();
  await api.stop();
});
beforeEach(() => {
  log = [];
});

async function post(body: object, headers: Record<string, string> = {}) {
  const response = await fetch(`${api.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  await response.arrayBuffer();
  return response;
}

describe("the log", () => {
  it("has one line for a request: id, operation, user, session, duration, time waited for a connection", async () => {
    const { userId, token } = await api.signUp();
    const response = await post(
      { query: "query WhoAmI { me { id } }" },
      { authorization: `Bearer ${token}`, "x-request-id": "not-believed" },
    );
    const line = await lineOf("WhoAmI");
    expect(line).toMatchObject({
      id: response.headers.get("x-request-id"),
      method: "POST",
      path: "/graphql",
      status: 200,
      userId,
      sessionId: expect.any(Number),
      duration: expect.any(Number),
      poolWait: expect.any(Number),
    });
    expect(line.id).not.toBe("not-believed");
    expect(lines().filter(({ id }) => id === line.id)).toHaveLength(1);
  });

  it("names who has no name, and what is not valid, and why it was refused", async () => {
    await post({ query: "{ __typename }" });
    await lineOf("unnamed");
    await post({ query: "query Nonsense { nonsense }" });
    const invalid = await until(
      async () => lines().find((line) => (line.errors as string[])?.[0] === "BAD_USER_INPUT"),
      (line) => line !== undefined,
    );
    expect(invalid).toMatchObject({ operation: null });
    await post({ query: "{ __typename }" }, { authorization: "Bearer x.y.z" });
    await until(
      async () => lines().find((line) => (line.errors as string[])?.[0] === "UNAUTHENTICATED"),
      (line) => line?.status === 401,
    );
  });

  it("names a route by its whole pattern, however it ended, and nothing of what stood in it", async () => {
    const facebook = { FACEBOOK_CLIENT_ID: "id", FACEBOOK_CLIENT_SECRET: "secret" };
    const other = await startTestApi({ logger, environment: facebook, database: api.database });
    for (const [path, status] of [
      ["/.well-known/jwks.json", 200],
      ["/auth/facebook?redirect_uri=x", 400],
      ["/auth/nobody/callback?state=x", 404],
      ["/auth/facebook/data-deletion/some-code", 404],
    ]) {
      expect((await fetch(`${other.url}${path}`)).status).toBe(status);
    }
    await other.stop();
    const paths = lines().flatMap(({ msg, path }) => (msg === "request" ? [path] : []));
    expect(paths).toEqual([
      "/.well-known/jwks.json",
      "/auth/:provider",
      "/auth/:provider/callback",
      "/auth/facebook/data-deletion/:code",
    ]);
  });

  it("shows how long a request waited for a connection", async () => {
    const narrow = await startTestApi({ logger, poolSize: 1, database: api.database });
    const { token } = await narrow.signUp();
    const locker = await api.database.owner.connect();
    try {
      // The one connection is taken until somebody waits for it.
      await locker.query("begin; lock table app_public.users in access exclusive mode");
      const crowd = Promise.all(
        // All different: what is asked twice at the same time is read once.
        Array.from({ length: 8 }, (_, n) =>
          narrow.graphql(`query Crowd { me { id } t${n}: __typename }`, { token }),
        ),
      );
      await until(
        async () => (await fetch(`${narrow.opsUrl}/metrics`)).text(),
        (metrics) => /^howdah_pool_waiting [1-9]/m.test(metrics),
      );
      await locker.query("rollback");
      await crowd;
    } finally {
      locker.release();
    }
    await lineOf("Crowd");
    await narrow.stop();
    const waits = lines().filter(({ operation }) => operation === "Crowd");
    expect(waits).toHaveLength(8);
    expect(Math.max(...waits.map(({ poolWait }) => poolWait as number))).toBeGreaterThan(0);
  });

  it("has the operations of WebSockets, each under an id of its own", async () => {
    const { userId, token } = await api.signUp();
    const socket = openSocket(api.url, { authorization: `Bearer ${token}` });
    socket.subscribe("subscription Inbox { notificationReceived { notification { id } } }");
    const line = await lineOf("Inbox");
    expect(line).toMatchObject({ userId, transport: "ws" });
    const asked = socket.subscribe("query Once { me { id } }");
    await asked.next();
    const other = await lineOf("Once");
    expect(other.id).not.toBe(line.id);
    const wrong = socket.subscribe("query Wrong { nonsense }");
    expect(await wrong.ended).toBeDefined();
    const ofSockets = lines().filter((line) => line.transport === "ws");
    expect(ofSockets.at(-1)).toMatchObject({ errors: ["BAD_USER_INPUT"] });
    socket.close();
  });

  it("tells of a fault under the id that the client was given", async () => {
    await api.database.owner.query(`
      create or replace function app_public.users_unread_notification_count(u app_public.users) returns int
      language plpgsql stable
      as $$ begin raise exception 'out of order' using detail = 'row of jane@example.com'; end $$`);
    const { token } = await api.signUp();
    const { errors } = await api.graphql("query Broken { me { unreadNotificationCount } }", {
      token,
    });
    const line = await lineOf("Broken");
    expect(errors[0]?.extensions).toEqual({ code: "INTERNAL", errorId: line.id });
    expect(lines().find(({ errorId }) => errorId === line.id)).toMatchObject({
      msg: "internal error",
      error: { message: "out of order" },
    });
    expect(line).toMatchObject({ errors: ["INTERNAL"] });
    expect(log.join()).not.toContain("jane@example.com");
  });

  it("follows a request into the jobs that it caused", async () => {
    const { userId, token } = await api.signUpOperator();
    await api.graphql(
      `mutation Send { sendNotification(input: {users: [${userId}], event: "e", message: "m"}) { notification { id } } }`,
      { token },
    );
    const { id } = await lineOf("Send");
    const job = (task: string, requestId: unknown) =>
      until(
        async () =>
          lines().find(
            (line) => line.msg === "job" && line.task === task && line.requestId === requestId,
          ),
        (line) => line !== undefined,
      );
    await job("fan_out_notification", id);
    await api.graphql(
      `mutation Join { signUp(input: {email: "join@example.com", password: "${PASSWORD}", firstName: "J"}) { tokens { userId } } }`,
    );
    await job("users__send_proof", (await lineOf("Join")).id);
    const { rows } = await api.database.owner.query(
      "select current_setting('request.id', true) as id",
    );
    expect(rows[0].id ?? "").toBe("");
  });

  it("has no header, token, password, variable or address of any request", async () => {
    const email = "never-logged@example.com";
    const secrets = [email, "top secret word", "+4930555123", "reset-token-123"];
    const answer = await api.graphql(
      `mutation SignUp($input: SignUpInput!) { signUp(input: $input) { tokens { accessToken refreshToken } } }`,
      {
        variables: {
          input: { email, phone: "+4930555123", password: "top secret word", firstName: "F" },
        },
      },
    );
    const { accessToken, refreshToken } = answer.data.signUp.tokens;
    await post({
      query:
        "mutation Reset($input: ResetPasswordInput!) { resetPassword(input: $input) { clientMutationId } }",
      variables: { input: { token: "reset-token-123", newPassword: "top secret word" } },
    });
    await api.graphql("query Me { me { email } }", { token: accessToken });
    await post(
      { query: "{ __typename }" },
      { authorization: "Bearer reset-token-123", cookie: "s=top secret word" },
    );
    await fetch(`${api.url}/reset/reset-token-123?token=reset-token-123`);
    await fetch(`${api.url}/auth/nobody?state=reset-token-123`);
    await lineOf("Me");
    for (const secret of [...secrets, accessToken, refreshToken]) {
      expect(log.join("")).not.toContain(secret);
    }
  });
});

describe("a careless line", () => {
  it("loses its secrets, however deep they are", () => {
    logger.info(
      {
        headers: { authorization: "s3cret" },
        request: { variables: { input: { password: "s3cret" } } },
        list: [{ refreshToken: "s3cret" }, { deep: { cookie: "s3cret" } }],
        accessToken: "s3cret",
        email: "s3cret",
        hasPassword: true,
        error: Object.assign(
          new Error("outer", { cause: Object.assign(new Error("inner"), { detail: "s3cret" }) }),
          {
            token: "s3cret",
          },
        ),
        taskIdentifier: "kept",
      },
      "careless",
    );
    expect(log.join()).not.toContain("s3cret");
    expect(lines()[0]).toMatchObject({ taskIdentifier: "kept", hasPassword: true });
    expect(log.join()).toContain("inner");
  });
});
