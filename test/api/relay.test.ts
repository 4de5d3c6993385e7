import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let ann: Account;
let bob: Account;
beforeAll(async () => {
  api = await startTestApi();
  ann = await api.signUp();
  bob = await api.signUp();
  for (const title of ["a", "b", "c", "d", "e"]) await create(title);
});
afterAll(() => api.stop());

const ask = async (query: string, token = ann.token) => {
  const { data, errors } = await api.graphql(query, { token });
  expect(errors).toEqual([]);
  return data;
};
const create = (title: string) =>
  ask(`mutation { createItem(input: {item: {title: "${title}"}}) { item { id nodeId } } }`);
const page = async (args: string) =>
  (
    await ask(
      `{ items(${args}, orderBy: [TITLE_ASC, PRIMARY_KEY_ASC]) {
        edges { cursor node { title } } nodes { title } totalCount
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`,
    )
  ).items;
const titles = ({ edges }: { edges: { node: { title: string } }[] }) =>
  edges.map(({ node }) => node.title).join("");

describe("Relay's global object identification", () => {
  it("node(nodeId) finds each kind of row that is mine again, by its type", async () => {
    const { me, items } = await ask("{ me { nodeId } items(first: 1) { nodes { nodeId } } }");
    for (const [nodeId, type] of [
      [me.nodeId, "User"],
      [items.nodes[0].nodeId, "Item"],
    ]) {
      const { node } = await ask(`{ node(nodeId: "${nodeId}") { __typename nodeId } }`);
      expect(node).toEqual({ __typename: type, nodeId });
    }
  });

  it("is null for what is not mine, and for what is no id", async () => {
    const { items } = await ask("{ items(first: 1) { nodes { nodeId } } }");
    const keys = [
      ["Item", "x"],
      ["Item"],
      ["Item", 1e12],
      ["Item", [1]],
      ["Session", null],
      ["NotificationDelivery", "2026-13-01", "1"],
      ["NotificationPreference", ann.userId, "a\0"],
    ].map((key) => Buffer.from(JSON.stringify(key)).toString("base64"));
    for (const nodeId of [items.nodes[0].nodeId, "nonsense", "WyJJdGVtIiw5OTk5OTldCg==", ...keys]) {
      expect(await ask(`{ node(nodeId: "${nodeId}") { __typename } }`, bob.token)).toEqual({
        node: null,
      });
    }
  });
});

describe("Relay's connections", () => {
  it("walk forwards and backwards, in the same order", async () => {
    const first = await page("first: 2");
    expect([titles(first), first.pageInfo.hasNextPage, first.pageInfo.hasPreviousPage]).toEqual([
      "ab",
      true,
      false,
    ]);
    expect(first.pageInfo).toMatchObject({
      startCursor: first.edges[0].cursor,
      endCursor: first.edges[1].cursor,
    });
    const second = await page(`first: 2, after: "${first.pageInfo.endCursor}"`);
    expect(titles(second)).toBe("cd");
    const last = await page("last: 2");
    expect([titles(last), last.pageInfo.hasPreviousPage, last.pageInfo.hasNextPage]).toEqual([
      "de",
      true,
      false,
    ]);
    expect(titles(await page(`last: 2, before: "${last.pageInfo.startCursor}"`))).toBe("bc");
    const between = await page(
      `first: 10, after: "${first.edges[0].cursor}", before: "${last.edges[1].cursor}"`,
    );
    expect(titles(between)).toBe("bcd");
    expect(between.totalCount).toBe(5);
  });

  it("have cursors that survive inserts and deletes before and after them, and of their own row", async () => {
    const first = await page("first: 3");
    const { createItem } = await create("aa");
    await create("cc");
    const ids = (await ask('{ items(filter: {title: {equalTo: "c"}}) { nodes { id } } }')).items;
    await ask(`mutation { deleteItem(input: {id: ${ids.nodes[0].id}}) { clientMutationId } }`);
    await ask(`mutation { deleteItem(input: {id: ${createItem.item.id}}) { clientMutationId } }`);
    const second = await page(`first: 10, after: "${first.pageInfo.endCursor}"`);
    expect(second.edges.map(({ node }: { node: { title: string } }) => node.title)).toEqual([
      "cc",
      "d",
      "e",
    ]);
  });
});

describe("connections of functions", () => {
  it("have cursors that name a row, forwards and backwards: what comes meanwhile shifts nothing", async () => {
    const happens = (kinds: string[]) =>
      api.database.owner.query(
        `insert into app_private.security_events (user_id, kind)
         select $1, kind from unnest($2::app_public.security_event_kind[]) as kind`,
        [bob.userId, kinds],
      );
    const events = async (args: string) =>
      (
        await ask(
          `{ me { securityEvents(${args}) { nodes { kind } pageInfo { startCursor endCursor hasNextPage } } } }`,
          bob.token,
        )
      ).me.securityEvents;
    const kinds = ({ nodes }: { nodes: { kind: string }[] }) => nodes.map(({ kind }) => kind);
    await happens(["password_changed", "data_exported"]);
    const newest = await events("first: 2");
    expect(kinds(newest)).toEqual(["DATA_EXPORTED", "PASSWORD_CHANGED"]);
    expect(newest.pageInfo.hasNextPage).toBe(true);
    await happens(["logged_out"]);
    expect(kinds(await events(`first: 2, after: "${newest.pageInfo.endCursor}"`))).toEqual([
      "SIGNED_UP",
    ]);
    expect(kinds(await events(`last: 9, before: "${newest.pageInfo.startCursor}"`))).toEqual([
      "LOGGED_OUT",
    ]);
    expect(kinds(await events("last: 1"))).toEqual(["SIGNED_UP"]);
  });

  it("of a search by words as well", async () => {
    const operator = await api.signUpOperator();
    const send = (message: string) =>
      api.database.owner.query("select app_private.notify(array[$1::int], 'tide', $2)", [
        operator.userId,
        message,
      ]);
    for (const message of ["ebb 1", "flood 1", "ebb 2"]) await send(message);
    const found = async (args: string) =>
      (
        await ask(
          `{ searchNotifications(search: "ebb", ${args}) { edges { cursor node { message } } } }`,
          operator.token,
        )
      ).searchNotifications.edges;
    const [{ cursor, node }] = await found("first: 1");
    expect(node.message).toBe("ebb 2");
    await send("ebb 3");
    expect(await found(`first: 5, after: "${cursor}"`)).toMatchObject([
      { node: { message: "ebb 1" } },
    ]);
  });

  it("without an order of their own are those that docs/clients.md names, and go forwards alone", async () => {
    const { __type } = await ask('{ __type(name: "Query") { fields { name args { name } } } }');
    const forwards = (__type.fields as { name: string; args: { name: string }[] }[])
      .filter(({ args }) => {
        const names = args.map(({ name }) => name);
        return names.includes("after") && !names.includes("before");
      })
      .map(({ name }) => name)
      .sort();
    expect(forwards).toEqual(["accessRules", "failedJobs", "pushAudiences"]);
    const page = await readFile("docs/clients.md", "utf8");
    for (const name of forwards) expect(page).toContain(`\`${name}\``);
  });
});
