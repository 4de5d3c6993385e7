import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let owner: Account;
let stranger: Account;

beforeAll(async () => {
  api = await startTestApi();
  owner = await api.signUp();
  stranger = await api.signUp();
});
afterAll(() => api.stop());

async function create(
  fields: Record<string, unknown> = {},
): Promise<{ id: number; nodeId: string }> {
  const { data, errors } = await api.graphql(
    "mutation ($input: CreateItemInput!) { createItem(input: $input) { item { id nodeId } } }",
    { token: owner.token, variables: { input: { item: { title: "Saddle", ...fields } } } },
  );
  expect(errors).toEqual([]);
  return data.createItem.item;
}

describe("items over GraphQL", () => {
  it("are created, read, changed and deleted by their owner", async () => {
    const created = await api.graphql(
      `mutation ($input: CreateItemInput!) {
        createItem(input: $input) {
          clientMutationId
          item { id userId title description data isActive createdAt updatedAt user { id } }
        }
      }`,
      {
        token: owner.token,
        variables: {
          input: {
            clientMutationId: "c",
            item: { title: "Rope", description: "ten metres", data: { colour: ["red", 1, null] } },
          },
        },
      },
    );
    expect(created.data.createItem).toMatchObject({
      clientMutationId: "c",
      item: {
        userId: owner.userId,
        title: "Rope",
        description: "ten metres",
        data: { colour: ["red", 1, null] },
        isActive: true,
        user: { id: owner.userId },
      },
    });
    const { id } = created.data.createItem.item;
    const changed = await api.graphql(
      `mutation { updateItem(input: {id: ${id}, patch: {isActive: false, data: null}}) {
        item { title isActive data } } }`,
      { token: owner.token },
    );
    expect(changed.data.updateItem.item).toEqual({ title: "Rope", isActive: false, data: null });
    const deleted = await api.graphql(
      `mutation { deleteItem(input: {id: ${id}}) { item { id } } }`,
      {
        token: owner.token,
      },
    );
    expect(deleted.data.deleteItem.item).toEqual({ id });
    expect(
      (await api.graphql(`{ item(id: ${id}) { id } }`, { token: owner.token })).data.item,
    ).toBeNull();
  });

  it("of somebody else are as if absent, by every way that leads to a row", async () => {
    const { id, nodeId } = await create({ title: "Hidden" });
    const absent = await api.graphql(
      `{ item(id: 999999) { id } node(nodeId: ${JSON.stringify(nodeId)}) { nodeId } }`,
      { token: stranger.token },
    );
    const foreign = await api.graphql(
      `{ item(id: ${id}) { id } node(nodeId: ${JSON.stringify(nodeId)}) { nodeId } }`,
      { token: stranger.token },
    );
    expect(foreign).toEqual(absent);
    expect(foreign.data).toEqual({ item: null, node: null });
    const list = await api.graphql(
      `{ items(filter: {title: {equalTo: "Hidden"}}, orderBy: TITLE_ASC) { totalCount nodes { id } }
         user(id: ${owner.userId}) { items { totalCount } } }`,
      { token: stranger.token },
    );
    expect(list.data).toEqual({ items: { totalCount: 0, nodes: [] }, user: null });
    const seen = await api.graphql(`{ item(id: ${id}) { id } }`, { token: owner.token });
    expect(seen.data.item).toEqual({ id });
  });

  it.each([
    [
      "updateItem",
      (id: number) => `updateItem(input: {id: ${id}, patch: {title: "Mine"}}) { item { id } }`,
    ],
    ["deleteItem", (id: number) => `deleteItem(input: {id: ${id}}) { item { id } }`],
  ])("%s of another's row and of an absent one is the same NOT_FOUND", async (field, mutation) => {
    const { id } = await create();
    const foreign = await api.graphql(`mutation { ${mutation(id)} }`, { token: stranger.token });
    const absent = await api.graphql(`mutation { ${mutation(999999)} }`, { token: stranger.token });
    expect(foreign.errors[0]).toMatchObject({
      message: "There is no such row.",
      path: [field],
      extensions: { code: "NOT_FOUND" },
    });
    expect(foreign.errors[0]?.message).toBe(absent.errors[0]?.message);
    const { rows } = await api.database.owner.query(
      "select title from app_public.items where id = $1",
      [id],
    );
    expect(rows).toEqual([{ title: "Saddle" }]);
  });

  it.each(["id", "userId", "createdAt", "updatedAt", "nodeId"])(
    "the inputs have no field %s",
    async (field) => {
      for (const mutation of [
        `createItem(input: {item: {title: "x", ${field}: null}}) { item { id } }`,
        `updateItem(input: {id: 1, patch: {${field}: null}}) { item { id } }`,
      ]) {
        const { status, errors } = await api.graphql(`mutation { ${mutation} }`, {
          token: owner.token,
        });
        expect(status).toBe(400);
        expect(errors[0]?.message).toContain(`Field "${field}" is not defined`);
      }
    },
  );

  it("a constraint is answered with its own sentence and field, and without its name", async () => {
    const answer = await api.graphql(
      'mutation { createItem(input: {item: {title: ""}}) { item { id } } }',
      { token: owner.token },
    );
    expect(answer.errors).toEqual([
      {
        message: "A title has 1 to 200 characters.",
        locations: expect.anything(),
        path: ["createItem"],
        extensions: { code: "BAD_USER_INPUT", field: "title" },
      },
    ]);
  });
});

describe("collections", () => {
  let reader: Account;
  beforeAll(async () => {
    reader = await api.signUp();
    await api.database.owner.query(
      `insert into app_public.items (user_id, title)
       select $1, 'Item ' || to_char(n, 'FM000') from generate_series(1, 150) n`,
      [reader.userId],
    );
  });
  const items = async (args: string) =>
    api.graphql(
      `{ items${args} { nodes { title } pageInfo { hasNextPage endCursor startCursor } totalCount } }`,
      { token: reader.token },
    );

  it("give 20 rows where neither first nor last is given, and at most 100", async () => {
    expect((await items("")).data.items.nodes).toHaveLength(20);
    expect((await items("(first: 100)")).data.items.nodes).toHaveLength(100);
    expect((await items("(last: 3)")).data.items.nodes.at(-1).title).toBe("Item 150");
    expect((await items("(first: 0)")).data.items.nodes).toHaveLength(0);
    expect((await items("(first: null)")).data.items.nodes).toHaveLength(20);
    expect((await items("")).data.items.totalCount).toBe(150);
  });

  it("are bounded where they are nested as well", async () => {
    const { data } = await api.graphql("{ me { items { nodes { id } } } }", {
      token: reader.token,
    });
    expect(data.me.items.nodes).toHaveLength(20);
  });

  it("are walked by cursor to the end, each row once", async () => {
    const titles: string[] = [];
    let after = "";
    for (let page = 0; page < 4; page += 1) {
      const { data } = await items(`(first: 40${after})`);
      titles.push(...data.items.nodes.map((node: { title: string }) => node.title));
      expect(data.items.pageInfo.hasNextPage).toBe(page < 3);
      after = `, after: ${JSON.stringify(data.items.pageInfo.endCursor)}`;
    }
    expect(new Set(titles).size).toBe(150);
    expect(titles).toEqual([...titles].sort());
  });

  it.each([
    ["(first: 101)", "first"],
    ["(first: -1)", "first"],
    ["(first: 2147483647)", "first"],
    ["(last: 101)", "last"],
    ["(last: -1)", "last"],
    ["(first: 1, last: 1)", "last"],
    ["(offset: -1)", "offset"],
    ['(after: "garbage")', "after"],
    ['(after: "WyJuYXR1cmFsIiwxXQ==")', "after"],
  ])("%s is BAD_USER_INPUT", async (args, field) => {
    const { errors, status } = await items(args);
    expect(errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
    expect(errors[0]?.extensions.field).toBe(field);
    expect(status).toBeLessThan(500);
  });

  it.each([
    ["(first: 3000000000)", 400],
    ['(filter: {title: {equalTo: "a\\u0000b"}})', 200],
    ['(filter: {title: {like: "%\\ud800%"}})', 400],
    ["(filter: {__proto__: {equalTo: 1}})", 400],
  ])("%s is BAD_USER_INPUT and not an internal error", async (args, expected) => {
    const { errors, status } = await items(args);
    expect(status).toBe(expected);
    expect(errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
  });

  it("take a whole filter that is null in a variable for none", async () => {
    const query = "query ($f: ItemFilter) { items(filter: $f) { totalCount } }";
    const all = await items("");
    for (const variables of [{}, { f: null }]) {
      const { data, errors } = await api.graphql(query, { token: reader.token, variables });
      expect(errors).toEqual([]);
      expect(data.items.totalCount).toBe(all.data.items.totalCount);
    }
  });

  it("filter and order by what is indexed, and offer nothing else", async () => {
    const { data } = await items('(filter: {title: {startsWith: "Item 01"}}, orderBy: TITLE_DESC)');
    expect(data.items.nodes[0].title).toBe("Item 019");
    expect(data.items.totalCount).toBe(10);
    const { data: type } = await api.graphql(
      `{ filter: __type(name: "ItemFilter") { inputFields { name } }
         order: __type(name: "ItemOrderBy") { enumValues { name } } }`,
    );
    expect(type.filter.inputFields.map((field: { name: string }) => field.name)).toEqual([
      "id",
      "userId",
      "title",
      "isActive",
      "createdAt",
      "and",
      "or",
      "not",
    ]);
    const orders = type.order.enumValues.map((value: { name: string }) => value.name);
    expect(orders).toContain("CREATED_AT_DESC");
    expect(orders).not.toContain("DESCRIPTION_ASC");
  });
});
