import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringifyDocument } from "@urql/core";
import { createClient } from "graphql-ws";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { MeDocument, OverviewDocument } from "../../src/console/graphql/generated.ts";
import { createLogger } from "../../src/logger.ts";
import { startTestApi, type TestApi } from "../support/api.ts";

const ME = "query Me { me { email } }";
const TYPENAME = "{ __typename }";
const TOO_MUCH = `{ ${Array.from({ length: 60 }, (_, n) => `a${n}: __typename`).join(" ")} }`;
const sha256 = (document: string) => createHash("sha256").update(document).digest("hex");

let folder: string;
let optional: TestApi;
let strict: TestApi;
/** Without a file. */
let plain: TestApi;
const log: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "howdah-persisted-"));
  const file = join(folder, "operations.json");
  await writeFile(
    file,
    JSON.stringify({
      [sha256(ME)]: ME,
      typename: TYPENAME,
      changed: "subscription { itemChanged(initialEvent: true) { operation } }",
      much: TOO_MUCH,
      old: "{ nope }",
    }),
  );
  optional = await startTestApi({
    environment: { PERSISTED_OPERATIONS: file },
    logger: createLogger({ pretty: false, level: "warn" }, { write: (line) => log.push(line) }),
  });
  plain = await startTestApi({ database: optional.database });
  strict = await startTestApi({
    database: optional.database,
    environment: {
      PERSISTED_OPERATIONS: file,
      PERSISTED_OPERATIONS_ONLY: "on",
      // One key for both: a token of one is good for the other.
      DATA_DIR: optional.dataDirectory,
    },
  });
});
afterAll(async () => {
  await plain.stop();
  await strict.stop();
  await optional.stop();
  await rm(folder, { recursive: true });
});

async function post({ url }: TestApi, body: object, token?: string) {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/graphql-response+json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  });
  return { status: response.status, ...((await response.json()) as { data: unknown }) };
}

/** The first answer to a subscription. */
function subscribe({ url }: TestApi, payload: object, token: string): Promise<unknown> {
  const client = createClient({
    url: `${url.replace("http", "ws")}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
  });
  return new Promise((resolve) => {
    client.subscribe(
      { query: "", ...payload },
      {
        next: (result) => {
          resolve(result);
          void client.dispose();
        },
        error: (error) => {
          resolve(error);
          void client.dispose();
        },
        complete() {
          // The answer came before.
        },
      },
    );
  });
}

describe.each([
  ["optional", () => optional],
  ["strict", () => strict],
])("persisted operations, %s,", (_mode, api) => {
  it("are taken by Relay's documentId", async () => {
    expect(await post(api(), { documentId: "typename" })).toMatchObject({
      status: 200,
      data: { __typename: "Query" },
    });
  });

  it("are taken by Apollo's hash, with the asker's identity", async () => {
    const { token, email } = await optional.signUp();
    expect(
      await post(
        api(),
        { extensions: { persistedQuery: { version: 1, sha256Hash: sha256(ME) } } },
        token,
      ),
    ).toMatchObject({ status: 200, data: { me: { email } } });
  });

  it("are taken over WebSockets", async () => {
    const { token } = await optional.signUp();
    expect(
      await subscribe(
        api(),
        { extensions: { persistedQuery: { version: 1, sha256Hash: "changed" } } },
        token,
      ),
    ).toMatchObject({ data: { itemChanged: { operation: null } } });
  });

  it("count against the limits", async () => {
    expect(await post(api(), { documentId: "much" })).toMatchObject({
      status: 400,
      errors: [{ extensions: { code: "TOO_COMPLEX" } }],
    });
  });

  it.each([
    ["an unknown id", { documentId: "nobody-wrote-this" }, "documentId"],
    ["an id of another type", { documentId: 7 }, "documentId"],
    ["a name of Object's", { documentId: "constructor" }, "documentId"],
    [
      "a hash of Apollo's",
      { extensions: { persistedQuery: { version: 1, sha256Hash: sha256("?") } } },
      "extensions.persistedQuery",
    ],
  ])(
    "with %s are BAD_USER_INPUT, and no word of the request is printed",
    async (_what, body, field) => {
      const printed = vi.spyOn(console, "error");
      const variables = { input: { password: "secret-in-a-variable" } };
      expect(await post(api(), { ...body, variables })).toMatchObject({
        status: 400,
        errors: [
          {
            message:
              field === "documentId"
                ? "There is no such persisted operation."
                : "PersistedQueryNotFound",
            extensions: { code: "BAD_USER_INPUT", field },
          },
        ],
      });
      expect(printed).not.toHaveBeenCalled();
      printed.mockRestore();
    },
  );

  it("that the schema cannot answer are named in the log at the start, and asked for as any other", async () => {
    if (api() === optional) expect(log.join("")).toMatch(/"operation":"old","fault":"Cannot query/);
    const answer = await post(api(), { documentId: "old" });
    expect(answer).toMatchObject({ errors: [{ extensions: { code: "BAD_USER_INPUT" } }] });
  });

  it("are what the console may ask besides", async () => {
    const { token } = await optional.signUp();
    expect(
      await post(api(), { query: stringifyDocument(MeDocument), operationName: "Me" }, token),
    ).toMatchObject({ status: 200, data: { me: {} } });
    const overview = await post(api(), { query: stringifyDocument(OverviewDocument) }, token);
    expect(JSON.stringify(overview)).toContain('"code":"FORBIDDEN"');
  });
});

describe("other operations", () => {
  it("are taken where persisted ones are optional, with an unknown hash too", async () => {
    expect(await post(optional, { query: TYPENAME })).toMatchObject({ status: 200 });
    const extensions = { persistedQuery: { version: 1, sha256Hash: sha256("{ unknown }") } };
    expect(await post(optional, { query: TYPENAME, extensions })).toMatchObject({ status: 200 });
  });

  it.each([
    ["a document", { query: TYPENAME }],
    ["introspection", { query: "{ __schema { queryType { name } } }" }],
    ["a document with an unknown hash", { query: TYPENAME, documentId: "unknown" }],
  ])("are refused in strict mode: %s", async (_what, body) => {
    expect(await post(strict, body)).toMatchObject({
      status: 400,
      errors: [{ extensions: { code: "BAD_USER_INPUT" } }],
    });
  });

  it("beside a good id are not what is run", async () => {
    expect(
      await post(strict, { query: "{ __schema { queryType { name } } }", documentId: "typename" }),
    ).toMatchObject({ status: 200, data: { __typename: "Query" } });
  });

  it("are refused over WebSockets in strict mode", async () => {
    const { token } = await optional.signUp();
    expect(
      await subscribe(strict, { query: "subscription { itemChanged { operation } }" }, token),
    ).toMatchObject([{ message: expect.stringContaining("persisted operations only") }]);
  });

  it("with neither document nor id are told what to send, each in its mode", async () => {
    const answers = await Promise.all(
      [optional, strict, plain].map((api) => post(api, { doc_id: "me" })),
    );
    expect(answers.map((answer) => JSON.stringify(answer))).toEqual([
      expect.stringContaining("neither a query nor the id"),
      expect.stringContaining("This server takes persisted operations only."),
      expect.stringContaining("query must be a string"),
    ]);
  });

  it("by an id are told where there are none that persisted operations are off", async () => {
    expect(await post(plain, { documentId: "typename" })).toMatchObject({
      status: 400,
      errors: [
        {
          message: "Persisted operations are off.",
          extensions: { code: "BAD_USER_INPUT", field: "documentId" },
        },
      ],
    });
  });

  it("have no GraphiQL to be written in, in strict mode", async () => {
    expect((await fetch(`${optional.url}/graphiql`)).status).toBe(200);
    expect((await fetch(`${strict.url}/graphiql`)).status).toBe(404);
  });
});

describe("a file that is no good", () => {
  it.each([
    ["is not there", undefined, /cannot read \/.*wrong\.json/],
    ["is no JSON", "{", "is no JSON"],
    ["is no map", `{"a": 1}`, "must be a JSON object"],
    ["has a document that is no GraphQL", `{"a": "{"}`, "a: Syntax Error"],
  ])("%s: the API does not start, and says so", async (_what, content, message) => {
    const file = join(folder, "wrong.json");
    if (content === undefined) await rm(file, { force: true });
    else await writeFile(file, content);
    await expect(
      startTestApi({ database: optional.database, environment: { PERSISTED_OPERATIONS: file } }),
    ).rejects.toThrow(message);
  });
});
