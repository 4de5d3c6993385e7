import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Figure } from "./bench.ts";
import { plotRatios } from "./plot.ts";
import { formatTable } from "./table.ts";

const DOCS = resolve(import.meta.dirname, "../../docs");

/** Puts what a bench has measured into docs/performance.md, in the place of its last table, with a plot where it compares servers. */
export async function writeToPage(name: string, figures: Figure[], about: string): Promise<void> {
  const path = `${DOCS}/performance.md`;
  const page = await readFile(path, "utf8");
  const place = new RegExp(`<!-- ${name} -->[\\s\\S]*?<!-- /${name} -->`);
  if (!place.test(page)) throw new Error(`docs/performance.md has no place for ${name}.`);
  const parts = [`<!-- ${name} -->`, about, `\`\`\`text\n${formatTable(name, figures)}\n\`\`\``];
  if (name === "requests") {
    await writeFile(`${DOCS}/requests.svg`, plotRatios("Requests a second, by hand = 1", figures));
    parts.push(
      "![Requests a second of each server, against the one written by hand](requests.svg)",
    );
  }
  await writeFile(
    path,
    page.replace(place, () => [...parts, `<!-- /${name} -->`].join("\n\n")),
  );
}
