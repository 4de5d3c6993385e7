import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { chalk } from "zx";

/** `npm run licences`: what this project is made of, by licence; exit 1 for one that nobody has looked at. */

/** They ask for nothing of ours; most of them for their notice to be kept. */
const GOOD = [
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MIT AND ISC AND BSD-3-Clause",
  "MIT OR Apache-2.0",
  "MIT-0",
  // A font's: it may not be sold by itself.
  "OFL-1.1",
  "PSF-2.0",
  "Python-2.0",
  "Unlicense",
  // Asks for changes of its own files: lightningcss, which Vite runs and no bundle contains.
  "MPL-2.0",
];
/** Says it in an older form than package-lock.json reads. */
const KNOWN: Readonly<Record<string, string>> = { "limiter@1.1.5": "MIT" };

interface Package {
  version: string;
  license?: string;
  link?: boolean;
}

const root = join(import.meta.dirname, "..");
const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as {
  packages: Record<string, Package>;
};
const byLicence = new Map<string, Set<string>>();
const bad: string[] = [];
for (const [path, { version, license, link }] of Object.entries(lock.packages)) {
  if (path === "" || link) continue;
  const name = `${path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length)}@${version}`;
  const licence = license ?? KNOWN[name] ?? "unknown";
  byLicence.set(licence, (byLicence.get(licence) ?? new Set()).add(name));
  if (!GOOD.includes(licence)) bad.push(`${name}: ${licence}`);
}
const isWhole = process.argv.includes("--all");
for (const [licence, names] of [...byLicence].sort(([, a], [, b]) => b.size - a.size)) {
  console.log(`${chalk.bold(licence.padEnd(18))} ${names.size}`);
  if (isWhole) for (const name of [...names].sort()) console.log(`  ${name}`);
}
if (bad.length > 0) {
  console.error(`Somebody has to look at these:\n${bad.map((line) => `  ${line}`).join("\n")}`);
  process.exitCode = 1;
}
