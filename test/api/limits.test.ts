import { getIntrospectionQuery } from "graphql";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LIMITS } from "../../src/graphql/limits.ts";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { BOMBS, times } from "../support/bombs.ts";
import { openSocket } from "../support/subscriptions.ts";

let api: TestApi;
let ann: Account;
beforeAll(async () => {
  api = await startTestApi();
  ann = await api.signUp();
});
afterAll(() => api.stop());

describe("limits on what a request may ask for", () => {
  it.each(BOMBS)("%s: 400 TOO_COMPLEX, which says the limit", async (_name, bomb, message) => {
    const { query, variables = {} } = bomb();
    const answer = await api.graphql(query, { token: ann.token, variables });
    expect(answer.status).toBe(400);
    expect(answer.errors).toMatchObject([
      { message: expect.stringMatching(message), extensions: { code: "TOO_COMPLEX" } },
    ]);
    expect(answer.data).toBeUndefined();
  });

  it("does not tell how many rows there are where no number holds them", async () => {
    let query = "id";
    for (let n = 0; n < 6; n += 1) query = `items(first: 100) { nodes { user { ${query} } } }`;
    const { errors } = await api.graphql(`{ me { ${query} } }`, { token: ann.token });
    expect(errors[0]?.message).toMatch(/12,000 rows.* this one has more\.$/);
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

  it("leave a filter of 500 alternatives, and 10,000 values of one list", async () => {
    const variables = { f: Array.from({ length: 500 }, (_, n) => ({ id: { equalTo: n } })) };
    const filtered = "query ($f: [ItemFilter!]) { items(filter: {or: $f}) { totalCount } }";
    expect((await api.graphql(filtered, { token: ann.token, variables })).errors).toEqual([]);
    const listed = "query ($ids: [Int!]) { items(filter: {id: {in: $ids}}) { totalCount } }";
    const ids = Array.from({ length: 10_000 }, (_, n) => n);
    expect((await api.graphql(listed, { token: ann.token, variables: { ids } })).errors).toEqual(
      [],
    );
  });

  it("say of values how those of a filter count", async () => {
    const f = Array.from({ length: 1000 }, (_, n) => ({ id: { equalTo: n } }));
    const { errors } = await api.graphql(
      "query ($f: [ItemFilter!]) { items(filter: {or: $f}) { totalCount } }",
      { token: ann.token, variables: { f } },
    );
    expect(errors[0]?.message).toMatch(/20,000 values .*, ten for each part of a filter; .* 30,0/);
  });

  it("name each limit that there is", () => {
    expect(Object.keys(LIMITS)).toEqual([
      "tokens",
      "depth",
      "fields",
      "aliases",
      "directives",
      "fragments",
      "introspections",
      "rows",
      "values",
    ]);
  });
});
