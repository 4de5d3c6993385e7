import { describe, expect, it } from "vitest";
import { describeChanges, readableChanges } from "../../src/development/report.ts";

const BEFORE = `type Query { item: Int, items: Int } type Mutation { createItem: Int }`;

describe("what a save changes in the API", () => {
  it("names what breaks first, then what clients can ask and do now, however much else there is", async () => {
    const types = Array.from({ length: 40 }, (_, index) => `type A${index} { id: Int }`);
    const after = `${types.join(" ")}
      type Query { item: Int, everybody: Int } type Mutation { createItem: Int, dropAll: Int }`;
    const lines = describeChanges(await readableChanges(BEFORE, after)).split("\n");
    expect(lines.slice(0, 5)).toEqual([
      "43 changes in the API, 1 breaking:",
      expect.stringContaining("- Field 'items' was removed from object type 'Query' (breaking)"),
      "  + Field 'everybody' was added to object type 'Query'",
      "  + Field 'dropAll' was added to object type 'Mutation'",
      expect.stringMatching(/^ {2}\+ Type 'A\d+' was added$/),
    ]);
    expect(lines.at(-1)).toBe("  … and 13 more");
    expect(lines).toHaveLength(32);
  });

  it("leaves out none of these where more breaks than is shown", async () => {
    const many = Array.from({ length: 40 }, (_, index) => `a${index}: Int`).join(" ");
    const before = `type Query { ok: Int, t: T } type T { ok: Int ${many} }`;
    const after = "type Query { ok: Int, t: T, everybody: Int } type T { ok: Int }";
    expect(describeChanges(await readableChanges(before, after))).toMatch(
      /\+ Field 'everybody' was added to object type 'Query'\n {2}… and 10 more$/,
    );
  });
});
