import { readFile } from "node:fs/promises";
import {
  buildClientSchema,
  buildSchema,
  getIntrospectionQuery,
  lexicographicSortSchema,
  printSchema,
} from "graphql";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clientTypes } from "../../scripts/client-types.ts";
import { breakingChanges, unannounced } from "../../scripts/schema-changes.ts";
import { startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let schema: string;
beforeAll(async () => {
  api = await startTestApi();
  const { data } = await api.graphql(getIntrospectionQuery({ inputValueDeprecation: true }));
  schema = `${printSchema(lexicographicSortSchema(buildClientSchema(data)))}\n`;
});
afterAll(() => api.stop());

describe("schema.graphql", () => {
  it("is the schema of the migrations (else: npx vitest run test/api/schema-file.test.ts -u)", async () => {
    await expect(schema).toMatchFileSnapshot("../../schema.graphql");
  });

  it.each(["examples/client", "src/console/graphql"])(
    "and the types of %s are made of it",
    async (folder) => {
      await expect(await clientTypes(schema, folder)).toMatchFileSnapshot(
        `../../${folder}/generated.ts`,
      );
    },
  );

  it("breaks nothing that was released, unless CHANGELOG.md says so", async () => {
    const released = await readFile("schema.released.graphql", "utf8");
    const changes = await breakingChanges(released, schema);
    expect(unannounced(changes, await readFile("CHANGELOG.md", "utf8"))).toEqual([]);
  });
});

describe("a breaking change", () => {
  const before = "type Query { item: Item } type Item { id: Int title: String }";
  const after = "type Query { item(of: Int!): Item } type Item { id: Int }";

  it("is named by the path of what it breaks", async () => {
    expect(() => buildSchema(after)).not.toThrow();
    const changes = await breakingChanges(before, after);
    expect(changes.map(({ path }) => path).sort()).toEqual(["Item.title", "Query.item.of"]);
    expect(await breakingChanges(before, `${before} type More { id: Int }`)).toEqual([]);
  });

  it("needs its path in what is unreleased of the changelog", async () => {
    const changes = await breakingChanges(before, after);
    const changelog =
      "# Changelog\n\n## Unreleased\n\n- Remove `Item.title`.\n\n## 1.0.0\n\n- `Query.item.of`\n";
    expect(unannounced(changes, changelog)).toEqual([
      expect.stringMatching(/^Query\.item\.of: .+ added/),
    ]);
  });
});
