import { getIntrospectionQuery } from "graphql";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LIMITS } from "../../src/graphql/limits.ts";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { openSocket } from "../support/subscriptions.ts";

let api: TestApi;
let ann: Account;
beforeAll(async () => {
  api = await startTestApi();
  ann = await api.signUp();
});
afterAll(() => api.stop());

const times = (count: number, text: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => text(n)).join(" ");
/** Names that no cache has seen. */
const fresh = () => Math.random().toString(36).slice(2, 8);

/** What must be refused, each with the limit that it says. */
const BOMBS: [string, () => string, RegExp][] = [
  [
    "1,000 aliases",
    () => `{ ${times(1000, (n) => `x${fresh()}${n}: items(first: 1) { nodes { id } }`)} }`,
    /tokens|aliases/,
  ],
  [
    "51 aliases",
    () => `{ ${times(51, (n) => `x${fresh()}${n}: __typename`)} }`,
    /50 aliases are allowed/,
  ],
  [
    "aliases by fragments that spread fragments",
    () =>
      `{ ${times(10, (n) => `...F${n}`)} } ${times(
        10,
        (n) => `fragment F${n} on Query { ${times(10, (m) => `a${n}${m}: __typename`)} }`,
      )}`,
    /50 aliases/,
  ],
  [
    "exponential fragments",
    () =>
      `{ ...F0 } ${times(40, (n) => `fragment F${n} on Query { ...F${n + 1} ...F${n + 1} }`)} fragment F40 on Query { __typename }`,
    /500 fields/,
  ],
  ["5,000 directives", () => `{ __typename ${times(5000, () => "@include(if: true)")} }`, /tokens/],
  [
    "51 directives",
    () => `{ __typename ${times(51, () => "@include(if: true)")} }`,
    /50 directives/,
  ],
  [
    "depth 40",
    () => `{ me { ${times(20, () => "items { nodes { user {")} id ${times(20, () => "} } }")} } }`,
    /20 fields deep/,
  ],
  ["100 kB of tokens", () => `{ ${times(24_000, () => "id")} }`, /4,000 tokens/],
  [
    "101 fragments",
    () => `{ __typename } ${times(101, (n) => `fragment F${n} on Query { __typename }`)}`,
    /100 fragments/,
  ],
  [
    "pages of pages of pages",
    () =>
      "{ users(first: 100) { nodes { items(first: 100) { nodes { user { items(first: 2) { nodes { id } } } } } } } }",
    /12,000 rows/,
  ],
  [
    "pages by default",
    () =>
      "{ users { edges { node { items { nodes { user { items { nodes { user { items { nodes { id } } } } } } } } } } } }",
    /12,000 rows/,
  ],
  [
    "pages that fragments hide",
    () =>
      "{ users(first: 100) { ...P } } fragment P on UsersConnection { nodes { items(first: 100) { ...Q } sessions(first: 100) { nodes { id } } } } fragment Q on ItemsConnection { nodes { id } }",
    /12,000 rows/,
  ],
];

describe("limits on what a request may ask for", () => {
  it.each(BOMBS)("%s: 400 TOO_COMPLEX, which says the limit", async (_name, bomb, message) => {
    const answer = await api.graphql(bomb(), { token: ann.token });
    expect(answer.status).toBe(400);
    expect(answer.errors).toMatchObject([
      { message: expect.stringMatching(message), extensions: { code: "TOO_COMPLEX" } },
    ]);
    expect(answer.data).toBeUndefined();
  });

  it("a fragment that spreads itself is BAD_USER_INPUT", async () => {
    const cycle =
      "{ ...A } fragment A on Query { ...B } fragment B on Query { ...C } fragment C on Query { ...A }";
    const { status, errors } = await api.graphql(cycle);
    expect(status).toBe(400);
    expect(errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
  });

  it("page sizes in variables count at each request", async () => {
    const query =
      "query ($n: Int) { users(first: $n) { nodes { items(first: $n) { nodes { user { items(first: $n) { nodes { id } } } } } } } }";
    const ask = (n: number) => api.graphql(query, { token: ann.token, variables: { n } });
    expect((await ask(5)).errors).toEqual([]);
    expect((await ask(100)).errors[0]?.extensions.code).toBe("TOO_COMPLEX");
    expect((await ask(5)).errors).toEqual([]);
  });

  it("hold over a WebSocket", async () => {
    const socket = openSocket(api.url, { authorization: `Bearer ${ann.token}` });
    const subscription = socket.subscribe(`{ ${times(51, (n) => `x${n}: __typename`)} }`);
    expect(await Promise.race([subscription.ended, subscription.next()])).toMatchObject([
      { extensions: { code: "TOO_COMPLEX" } },
    ]);
    socket.close();
  });

  it("leave what tools ask: introspection, whole and twice over", async () => {
    const options = { descriptions: true, inputValueDeprecation: true, specifiedByUrl: true };
    const { status, errors, data } = await api.graphql(getIntrospectionQuery(options));
    expect({ status, errors }).toEqual({ status: 200, errors: [] });
    expect(data.__schema.types.length).toBeGreaterThan(100);
  });

  it("leave a page of 100, each with a page of 100", async () => {
    const query = "{ users(first: 100) { nodes { items(first: 100) { nodes { id title } } } } }";
    expect((await api.graphql(query, { token: ann.token })).errors).toEqual([]);
  });

  it("name each limit that there is", () => {
    expect(Object.keys(LIMITS)).toEqual([
      "tokens",
      "depth",
      "fields",
      "aliases",
      "directives",
      "fragments",
      "rows",
    ]);
  });
});
