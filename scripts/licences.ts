import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { chalk } from "zx";

/** `npm run licences`: what this project is made of, by licence; exit 1 for one that nobody has looked at. */

/** They ask for their notice to be kept, and for nothing of ours. */
const GOOD = [
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "ISC",
  "MIT",
  "MIT OR Apache-2.0",
  "MIT-0",
  "PSF-2.0",
  "Python-2.0",
];
/** Tools of developers, never shipped, may have others: MPL-2.0 is lightningcss, of Vitest. */
const GOOD_FOR_TOOLS = [...GOOD, "MPL-2.0"];
/** Says it in an older form than package-lock.json reads. */
const KNOWN: Readonly<Record<string, string>> = { "limiter@1.1.5": "MIT" };

interface Package {
  version: string;
  license?: string;
  dev?: boolean;
  link?: boolean;
}

const root = join(import.meta.dirname, "..");
const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as {
  packages: Record<string, Package>;
};
const byLicence = new Map<string, Set<string>>();
const bad: string[] = [];
for (const [path, { version, license, dev, link }] of Object.entries(lock.packages)) {
  if (path === "" || link) continue;
  const name = `${path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length)}@${version}`;
  const licence = license ?? KNOWN[name] ?? "unknown";
  byLicence.set(licence, (byLicence.get(licence) ?? new Set()).add(name));
  if (!(dev ? GOOD_FOR_TOOLS : GOOD).includes(licence)) bad.push(`${name}: ${licence}`);
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
