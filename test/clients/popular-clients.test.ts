import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { ApolloClient, gql as apolloGql, HttpLink, InMemoryCache } from "@apollo/client/core";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { buildSchema, isObjectType } from "graphql";
import { createClient } from "graphql-ws";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let ann: Account;
beforeAll(async () => {
  api = await startTestApi();
  ann = await api.signUp();
});
afterAll(() => api.stop());

const authorization = () => `Bearer ${ann.token}`;
const socketClient = () =>
  createClient({
    url: `${api.url.replace("http", "ws")}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: () => ({ authorization: authorization() }),
  });
const CREATE = `mutation ($title: String!) { createItem(input: {item: {title: $title}}) { item { id nodeId title } } }`;
const RENAME = `mutation ($id: Int!, $title: String!) { updateItem(input: {id: $id, patch: {title: $title}}) { item { id title } } }`;
const LIST = `query { items(orderBy: [PRIMARY_KEY_ASC]) { nodes { id title } } }`;
const CHANGED = `subscription { itemChanged(initialEvent: true) { operation item { id title } } }`;

describe("with their default settings", () => {
  it("Apollo Client queries, keeps rows apart by type and id, and subscribes", async () => {
    const client = new ApolloClient({
      link: new HttpLink({
        uri: `${api.url}/graphql`,
        headers: { authorization: authorization() },
      }),
      cache: new InMemoryCache(),
    });
    const created = await client.mutate<{ createItem: { item: { id: number } } }>({
      mutation: apolloGql(CREATE),
      variables: { title: "Apollo" },
    });
    const id = created.data?.createItem.item.id;
    const read = () => client.query<{ items: { nodes: object[] } }>({ query: apolloGql(LIST) });
    expect((await read()).data?.items.nodes).toMatchObject([{ id, title: "Apollo" }]);
    // The list is not asked for again: the cache knows the row by its type and id.
    await client.mutate({ mutation: apolloGql(RENAME), variables: { id, title: "Changed" } });
    expect((await read()).data?.items.nodes).toMatchObject([{ id, title: "Changed" }]);

    const socket = socketClient();
    const live = new ApolloClient({ link: new GraphQLWsLink(socket), cache: new InMemoryCache() });
    const event = await new Promise((done, fail) => {
      const subscription = live.subscribe({ query: apolloGql(CHANGED) }).subscribe({
        next(value) {
          subscription.unsubscribe();
          done(value.data);
        },
        error: fail,
      });
    });
    expect(event).toMatchObject({ itemChanged: { operation: null } });
    await socket.dispose();
  });

  it("urql queries and subscribes", async () => {
    const socket = socketClient();
    const client = new Client({
      url: `${api.url}/graphql`,
      preferGetMethod: false,
      fetchOptions: () => ({ headers: { authorization: authorization() } }),
      exchanges: [
        fetchExchange,
        subscriptionExchange({
          forwardSubscription: ({ query = "", variables }) => ({
            subscribe: (sink) => ({
              unsubscribe: socket.subscribe(
                { query, variables: variables as Record<string, unknown> },
                sink as never,
              ),
            }),
          }),
        }),
      ],
    });
    const { data, error } = await client.mutation(gql(CREATE), { title: "urql" });
    expect(error).toBeUndefined();
    expect(data.createItem.item).toMatchObject({ title: "urql" });
    const event = await new Promise((done) => {
      const { unsubscribe } = client.subscription(gql(CHANGED), {}).subscribe((result) => {
        done(result.data);
        queueMicrotask(() => unsubscribe());
      });
    });
    expect(event).toMatchObject({ itemChanged: { operation: null } });
    await socket.dispose();
  });
});

describe("with the settings of docs/clients.md", () => {
  it("Apollo Client asks as who is logged in, over HTTP and WebSocket, and keeps rows without an id apart", async () => {
    const page = await readFile("docs/clients.md", "utf8");
    const [, code = ""] = /```ts\n(import \{ ApolloClient.*?)```/s.exec(page) ?? [];
    const folder = await mkdtemp(join(tmpdir(), "howdah-apollo-"));
    await symlink(resolve("node_modules"), join(folder, "node_modules"));
    await writeFile(
      join(folder, "client.mjs"),
      `const isLoggedIn = () => true;
       const freshAccessToken = async () => ${JSON.stringify(ann.token)};
       ${stripTypeScriptTypes(code.replaceAll("localhost:5678", new URL(api.url).host))}
       export { client, socket };`,
    );
    const { client, socket } = await import(pathToFileURL(join(folder, "client.mjs")).href);
    const { data } = await client.query({ query: apolloGql("{ me { id } }") });
    expect(data.me.id).toBe(ann.userId);
    const event = await new Promise((done, fail) => {
      client.subscribe({ query: apolloGql(CHANGED) }).subscribe({ next: done, error: fail });
    });
    expect(event).toMatchObject({ data: { itemChanged: { operation: null } } });
    await api.graphql(
      'mutation { setNotificationPreference(input: {event: "tide", isPushEnabled: false}) { clientMutationId } }',
      { token: ann.token },
    );
    await client.query({
      query: apolloGql("{ notificationPreferences { nodes { nodeId isPushEnabled } } }"),
    });
    const kept = Object.keys(client.cache.extract());
    expect(kept.find((key) => key.startsWith("NotificationPreference:"))).toContain("nodeId");
    client.stop();
    await socket.dispose();
    await rm(folder, { recursive: true });
    const nodes = Object.values(buildSchema(await readFile("schema.graphql", "utf8")).getTypeMap());
    const withoutId = nodes.filter(
      (type) =>
        isObjectType(type) &&
        type.name !== "Query" &&
        type.getInterfaces().some(({ name }) => name === "Node") &&
        !type.getFields().id,
    );
    expect(withoutId.map(({ name }) => `${name}: { keyFields`)).toEqual(
      code.match(/\w+: \{ keyFields/g),
    );
  });

  it("Relay's compiler takes the schema, connections and refetchable fragments", async () => {
    const folder = await mkdtemp(join(tmpdir(), "howdah-relay-"));
    await mkdir(join(folder, "src"));
    await cp("schema.graphql", join(folder, "schema.graphql"));
    await writeFile(
      join(folder, "relay.config.json"),
      JSON.stringify({
        src: "./src",
        schema: "./schema.graphql",
        language: "typescript",
        schemaConfig: { nodeInterfaceIdField: "nodeId", nodeInterfaceIdVariableName: "nodeId" },
      }),
    );
    await writeFile(
      join(folder, "src/Items.ts"),
      `
      graphql\`query ItemsQuery { me { ...Items_user } }\`;
      graphql\`
        fragment Items_user on User @refetchable(queryName: "ItemsPaginationQuery")
          @argumentDefinitions(first: { type: "Int", defaultValue: 10 }, after: { type: "Cursor" }) {
          items(first: $first, after: $after) @connection(key: "Items_items") {
            edges { node { id title } }
          }
        }\`;
      graphql\`mutation ItemsCreateMutation($input: CreateItemInput!, $connections: [ID!]!) {
        createItem(input: $input) { itemEdge @appendEdge(connections: $connections) { node { id } } }
      }\`;
      graphql\`subscription ItemsSubscription { itemChanged { operation item { title } } }\`;`,
    );
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [resolve("node_modules/relay-compiler/cli.js"), "--noWatchman"],
      { cwd: folder },
    );
    expect(stdout).toContain("Compilation completed");
    expect(await readdir(join(folder, "src/__generated__"))).toContain(
      "ItemsPaginationQuery.graphql.ts",
    );
    await rm(folder, { recursive: true });
  }, 60_000);
});
