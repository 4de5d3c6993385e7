import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { as } from "../kit/actors.ts";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let ann: Account;
let bob: Account;

beforeAll(async () => {
  api = await startTestApi();
  ann = await api.signUp();
  bob = await api.signUp();
  const { owner } = api.database;
  await owner.query(
    `insert into app_public.items (user_id, title, description, is_active) values
       ($1, 'Elephant saddle', 'For a long ride', true),
       ($1, 'Rope', 'Ten metres, for the elephant', true),
       ($1, 'Parasol', 'Keeps the sun off a rider', false),
       ($2, 'Elephant of somebody else', null, true)`,
    [ann.userId, bob.userId],
  );
  // Of others, so many that reading them all would show.
  await owner.query(
    `insert into app_public.users (first_name) select 'Crowd' from generate_series(1, 1000)`,
  );
  await owner.query(
    `insert into app_public.items (user_id, title)
     select u.id, 'elephant ' || n from app_public.users u, generate_series(1, 50) n
     where u.first_name = 'Crowd'`,
  );
  await owner.query("vacuum analyze app_public.items");
});
afterAll(() => api.stop());

async function search(words: string, token = ann.token, page = "") {
  return api.graphql(
    `query ($words: String!) { searchItems(search: $words${page}) { totalCount edges { cursor node { title } } } }`,
    { token, variables: { words } },
  );
}
const titles = ({ data }: Awaited<ReturnType<typeof search>>) =>
  data.searchItems.edges.map(({ node }: { node: { title: string } }) => node.title);

describe("searchItems", () => {
  it("finds words in title and description, the title first, in any case", async () => {
    const found = await search("ELEPHANT");
    expect(titles(found)).toEqual(["Elephant saddle", "Rope"]);
    expect(found.data.searchItems.totalCount).toBe(2);
  });

  it.each([
    ["elephant ride", ["Elephant saddle"]],
    ['"long ride"', ["Elephant saddle"]],
    ['"ride long"', []],
    ["elephant -rope", ["Elephant saddle"]],
    ["parasol or rope", ["Parasol", "Rope"]],
    ["nothing of the kind", []],
  ])("as web search engines have it: %s", async (words, expected) => {
    expect(titles(await search(words)).sort()).toEqual([...expected].sort());
  });

  it("finds nobody else's", async () => {
    expect(titles(await search("elephant", bob.token))).toEqual(["Elephant of somebody else"]);
    const { data, errors } = await api.graphql(
      '{ searchItems(search: "elephant") { totalCount } }',
    );
    expect(data.searchItems).toBe(null);
    expect(errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
  });

  it("goes on after a cursor", async () => {
    const first = await search("elephant", ann.token, ", first: 1");
    const [{ cursor }] = first.data.searchItems.edges;
    const next = await search("elephant", ann.token, `, first: 1, after: "${cursor}"`);
    expect([...titles(first), ...titles(next)]).toEqual(["Elephant saddle", "Rope"]);
  });

  it("goes on after the row that a cursor names, which may be gone, and before it", async () => {
    const searcher = await api.signUp();
    const { rows } = await api.database.owner.query<{ id: number }>(
      `insert into app_public.items (user_id, title, description)
       select $1, title, description
       from (values ('Kite', ''), ('Kite and kite', ''), ('Two', 'kite'), ('Three', 'kite')) as i(title, description)
       returning id`,
      [searcher.userId],
    );
    const all = titles(await search("kite", searcher.token));
    expect(all).toHaveLength(4);
    const page = await search("kite", searcher.token, ", first: 2");
    expect(titles(page)).toEqual(all.slice(0, 2));
    const cursor = page.data.searchItems.edges[1].cursor;
    const shown = rows[["Kite", "Kite and kite"].indexOf(all[0])]?.id;
    await api.database.owner.query("delete from app_public.items where id = $1", [shown]);
    const after = await search("kite", searcher.token, `, first: 2, after: "${cursor}"`);
    expect(titles(after)).toEqual(all.slice(2));
    const before = await search("kite", searcher.token, `, last: 2, before: "${cursor}"`);
    expect(titles(before)).toEqual([]);
    const last = await search("kite", searcher.token, ", last: 1");
    expect(titles(last)).toEqual(all.slice(3));
  });

  it.each([
    "",
    " ",
    "'",
    "\\",
    "((((",
    ":* & !",
    "-".repeat(5000),
    "- ".repeat(3000),
    "not -".repeat(2000),
    "or or or",
    "-!".repeat(60),
    "-&|".repeat(60),
    "(-".repeat(60),
    "-()".repeat(80),
    "-<\t".repeat(60),
    "\ud83d\ude00",
  ])("takes anything, such as %#", async (words) => {
    const { errors } = await search(words);
    expect(errors).toEqual([]);
  });

  it("with NUL is BAD_USER_INPUT", async () => {
    expect((await search("a\0b")).errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
  });
});

describe("counts", () => {
  it("by kind are on the user", async () => {
    const { data } = await api.graphql("{ me { itemCounts { active inactive } } }", {
      token: ann.token,
    });
    expect(data.me.itemCounts).toEqual({ active: 2, inactive: 1 });
  });

  it("of others' items are not there", async () => {
    const { data } = await api.graphql(
      `{ user(id: ${bob.userId}) { itemCounts { active } } items { totalCount } }`,
      { token: ann.token },
    );
    expect(data).toEqual({ user: null, items: { totalCount: 3 } });
  });

  it.each([
    ["totalCount", "select count(*) from app_public.items"],
    ["itemCounts", "select (app_public.users_item_counts(u)).* from app_public.users u"],
    ["searchItems", "select count(*) from app_public.search_items('elephant')"],
  ])("read one's own rows alone: %s", async (_field, statement) => {
    const plan = await as(api.database, { user: ann.userId }, async (client) => {
      // Once before, so that the catalogue is known.
      await client.query(statement);
      const { rows } = await client.query(`explain (analyze, buffers, format json) ${statement}`);
      return rows[0]["QUERY PLAN"][0].Plan;
    });
    expect(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]).toBeLessThan(100);
  });
});
