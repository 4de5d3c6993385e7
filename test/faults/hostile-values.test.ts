import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Account, type GraphQLAnswer, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let ann: Account;
const printed = vi.spyOn(console, "error");
beforeAll(async () => {
  api = await startTestApi();
  ann = await api.signUp();
});
afterAll(() => api.stop());

const create = (item: object) =>
  api.graphql(
    "mutation ($item: ItemInput!) { createItem(input: {item: $item}) { item { title data } } }",
    {
      token: ann.token,
      variables: { item },
    },
  );
const query = (text: string) => api.graphql(text, { token: ann.token });
const deep = (levels: number) => `${"[".repeat(levels)}1${"]".repeat(levels)}`;

const cursorOf = (parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString("base64");
const SEARCH = (parts: unknown[]) =>
  `{ searchItems(search: "x", after: "${cursorOf(parts)}") { nodes { id } } }`;

/** A cursor of the order that is asked for, with another value in it. */
async function forged(value: unknown): Promise<GraphQLAnswer> {
  await create({ title: "x" });
  const { data } = await query("{ items(first: 1) { edges { cursor } } }");
  const [digest] = JSON.parse(Buffer.from(data.items.edges[0].cursor, "base64").toString());
  return query(`{ items(after: "${cursorOf([digest, value])}") { nodes { id } } }`);
}

/** The bytes as they are: a string of JavaScript could not hold them. */
async function raw(bytes: Buffer): Promise<GraphQLAnswer> {
  const response = await fetch(`${api.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${ann.token}` },
    body: new Uint8Array(bytes),
  });
  return { status: response.status, ...((await response.json()) as object) } as GraphQLAnswer;
}

describe("a hostile value is BAD_USER_INPUT, nothing masked as an internal error", () => {
  it.each<[string, () => Promise<GraphQLAnswer>]>([
    ["first: -1", () => query("{ items(first: -1) { nodes { id } } }")],
    ["first: 2147483647", () => query("{ items(first: 2147483647) { nodes { id } } }")],
    ["first and last", () => query("{ items(first: 1, last: 1) { nodes { id } } }")],
    ["a cursor that is none", () => query('{ items(after: "nonsense") { nodes { id } } }')],
    [
      "a cursor of another order",
      () => query('{ items(after: "WyJub3BlIiwxXQ==", orderBy: [TITLE_ASC]) { nodes { id } } }'),
    ],
    [
      "a cursor of another order, backwards",
      () => query('{ items(last: 1, before: "WyJub3BlIiwxXQ==") { edges { cursor } } }'),
    ],
    [
      "a cursor that is a list of lists",
      () =>
        query(
          `{ items(after: "${Buffer.from('[["x"],{"y":1}]').toString("base64")}") { nodes { id } } }`,
        ),
    ],
    ["a cursor of a function's rows beyond all numbers", () => query(SEARCH(["natural", 1e300]))],
    ["a cursor whose id is a text", () => forged("x")],
    ["a cursor whose id is an object", () => forged({ id: 1 })],
    ["a cursor whose id overflows", () => forged(2 ** 40)],
    ["a cursor whose id has NUL", () => forged("1\0")],
    ["an int that overflows", () => query("{ item(id: 2147483648) { id } }")],
    [
      "an int that overflows in a variable",
      () =>
        api.graphql("query ($id: Int!) { item(id: $id) { id } }", {
          token: ann.token,
          variables: { id: 2 ** 40 },
        }),
    ],
    ["NUL", () => create({ title: "a\0b" })],
    ["NUL in JSON", () => create({ title: "a", data: { key: "a\0b" } })],
    ["a lone surrogate", () => create({ title: "a\ud800b" })],
    ["a lone surrogate in JSON", () => create({ title: "a", data: { key: "\udc00" } })],
    [
      "NUL in a filter",
      () =>
        api.graphql(
          "query ($t: String) { items(filter: {title: {equalTo: $t}}) { nodes { id } } }",
          { token: ann.token, variables: { t: "\0" } },
        ),
    ],
    [
      "a nodeId that is none",
      () => query("mutation { deleteItem(input: {id: -1}) { item { id } } }"),
    ],
    ["__proto__ as a field", () => query("{ __proto__ { id } }")],
    [
      "__proto__ in an input",
      () =>
        raw(
          Buffer.from(
            '{"query":"mutation ($item: ItemInput!) { createItem(input: {item: $item}) { item { id } } }","variables":{"item":{"title":"a","__proto__":{"userId":1}}}}',
          ),
        ),
    ],
    ["null in a filter", () => query("{ items(filter: {title: {equalTo: null}}) { totalCount } }")],
    [
      "null in a filter by a variable",
      () =>
        api.graphql("query ($t: String) { items(filter: {title: {equalTo: $t}}) { totalCount } }", {
          token: ann.token,
          variables: { t: null },
        }),
    ],
    [
      "an enum value in a JSON literal",
      () =>
        query('mutation { createItem(input: {item: {title: "a", data: {b: C}}}) { item { id } } }'),
    ],
    [
      "a number beyond a double",
      () =>
        raw(
          Buffer.from(
            '{"query":"mutation ($d: JSON) { createItem(input: {item: {title: \\"a\\", data: $d}}) { item { id } } }","variables":{"d":{"price":1e400}}}',
          ),
        ),
    ],
    [
      "a number beyond a double in a literal",
      () =>
        query(
          'mutation { createItem(input: {item: {title: "a", data: {b: -1e400}}}) { item { id } } }',
        ),
    ],
    [
      "a patch that changes nothing",
      async () => {
        const { data } = await create({ title: "a" });
        return query(
          `mutation { updateItem(input: {id: ${data.createItem.item.id}, patch: {}}) { item { id } } }`,
        );
      },
    ],
    [
      "a filter of 900 levels",
      () => query(`{ items(filter: ${"{not: ".repeat(900)}{}${"}".repeat(900)}) { totalCount } }`),
    ],
    [
      "a JSON literal of 900 levels",
      () =>
        query(
          `mutation { createItem(input: {item: {title: "a", data: ${deep(900)}}}) { item { id } } }`,
        ),
    ],
    [
      "a subscription over HTTP, at once",
      () => query("subscription { itemChanged(initialEvent: true) { operation } }"),
    ],
    ["constructor as an argument", () => query("{ items(constructor: 1) { nodes { id } } }")],
  ])("%s", async (_name, ask) => {
    const { status, errors } = await ask();
    expect(status).toBeLessThan(500);
    expect(errors.length).toBeGreaterThan(0);
    for (const { extensions } of errors) {
      expect(["BAD_USER_INPUT", "NOT_FOUND"]).toContain(extensions.code);
    }
    // What a client does wrong fills no log.
    expect(printed).not.toHaveBeenCalled();
  });

  it("a cursor of another order is named by its argument", async () => {
    const { errors } = await query(
      `{ items(last: 1, before: "${cursorOf(["nope", 1])}") { edges { cursor } } }`,
    );
    expect(errors).toMatchObject([{ extensions: { code: "BAD_USER_INPUT", field: "before" } }]);
  });

  it("JSON of 90 levels is stored, of more than 100 it is refused", async () => {
    const body = (levels: number) =>
      raw(
        Buffer.from(
          `{"query":"mutation ($item: ItemInput!) { createItem(input: {item: $item}) { item { id } } }","variables":{"item":{"title":"deep","data":${deep(levels)}}}}`,
        ),
      );
    expect((await body(90)).errors).toBeUndefined();
    for (const levels of [101, 5000, 40_000]) {
      const { status, errors } = await body(levels);
      expect(status).toBe(400);
      expect(errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "data" });
    }
    expect((await query("{ me { id } }")).status).toBe(200);
  });

  it("invalid UTF-8 is taken as U+FFFD, and harms nobody", async () => {
    const { status } = await raw(
      Buffer.concat([
        Buffer.from('{"query":"{ __typename } #'),
        Buffer.from([0xff, 0xc0, 0x80]),
        Buffer.from('"}'),
      ]),
    );
    expect(status).toBeLessThan(500);
    const { data } = await create({ title: "täst 😀" });
    expect(data.createItem.item.title).toBe("täst 😀");
  });

  it("__proto__ in JSON is data like any other", async () => {
    const data = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}');
    const answer = await create({ title: "proto", data });
    expect(answer.errors).toEqual([]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});
