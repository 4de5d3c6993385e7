import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const PAGE = readFileSync("docs/account-rules.md", "utf8");

/** The rows of the page's tables: a rule, and the tests of it as file and title. */
const RULES = [...PAGE.matchAll(/^\| (?!rule |---)(.+?) \| (.+) \|$/gm)].map(
  ([, rule = "", cell = ""]) => ({
    rule,
    bench: /^`npm run bench -- ([\w-]+)`$/.exec(cell)?.[1],
    tests: [
      ...cell.matchAll(/\[[\w/-]+\]\(\.\.\/(test\/[\w/-]+\.test\.ts)\): (.+?)(?=<br>|$)/g),
    ].map(([, file = "", title = ""]) => ({ file, title })),
  }),
);

/** Whether a file has a test of this title, which is run: `it.skip` and `it.todo` are none. */
function hasTest(file: string, title: string): boolean {
  const call = `\\bit(?:\\.each\\((?:(?!\\bit[.(])[^])*?\\))?\\(\\s*["'\`]`;
  const source = readFileSync(file, "utf8").replaceAll("\\`", "`");
  return new RegExp(`${call}${RegExp.escape(title)}["'\`],`).test(source);
}

describe("docs/account-rules.md", () => {
  it("has the rules of all six topics", () => {
    expect(PAGE.match(/^## /gm)).toHaveLength(6);
    expect(RULES.length).toBeGreaterThan(90);
  });

  it("names for each rule a bench, or tests that are there under their names", () => {
    const missing = RULES.flatMap(({ rule, bench, tests }) => {
      if (bench) return existsSync(`bench/${bench}.ts`) ? [] : [`${rule}: no such bench`];
      if (tests.length === 0) return [`${rule}: no test`];
      return tests
        .filter(({ file, title }) => !existsSync(file) || !hasTest(file, title))
        .map(({ file, title }) => `${file}: ${title}`);
    });
    expect(missing).toEqual([]);
  });

  it("would notice a test that is gone, renamed or skipped", () => {
    expect(hasTest("test/api/refresh-tokens.test.ts", "grace never slides")).toBe(true);
    expect(hasTest("test/api/refresh-tokens.test.ts", "grace never slide")).toBe(false);
    expect(hasTest("test/api/refresh-tokens.test.ts", "refreshing")).toBe(false);
  });
});
