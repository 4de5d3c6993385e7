import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { expect, it } from "vitest";

/** All that an entry point may load, as far as it is ours; packages by their name. */
function loadedBy(entry: string): Set<string> {
  const seen = new Set<string>();
  const visit = (path: string) => {
    if (seen.has(relative(".", path))) return;
    seen.add(relative(".", path));
    const source = readFileSync(path, "utf8").replaceAll(/^import type [^;]+;/gm, "");
    const imports = source.matchAll(/(?:from|import|import\(|require\() ?\(?"([^"]+)"/g);
    for (const [, name = ""] of imports) {
      const target = resolve(dirname(path), name);
      if (!name.startsWith(".")) seen.add(name);
      else if (existsSync(target)) visit(target);
    }
  };
  visit(resolve(entry));
  return seen;
}

it.each(["api", "worker", "migrate", "start"])(
  "%s loads nothing of the developer's loop",
  (name) => {
    const loaded = [...loadedBy(join("src", `${name}.ts`))];
    expect(loaded.length).toBeGreaterThan(20);
    expect(loaded.filter((path) => /^(src\/development|scripts|test)\//.test(path))).toEqual([]);
    expect(loaded.filter((path) => /inspector|codegen/.test(path))).toEqual([]);
  },
);

it("and npm run dev does", () => {
  expect([...loadedBy("src/dev.ts")]).toContain("@graphql-inspector/core");
});
