import pg from "pg";
import { accessMatrix } from "../access/access-matrix.ts";
import { type Finding, runRules } from "../rules/run-rules.ts";
import type { Right, Save } from "./save.ts";

/** Rules that are shown, and objects of each; the others are counted. */
const MAX_RULES = 8;
const MAX_OBJECTS = 10;
/** Lines of who may what. */
const MAX_RIGHTS = 20;

type Catalogue = Pick<Save, "access" | "findings" | "mended">;

/** Looks at the schema after each change of it: by the rules of src/rules, and who may what. */
export function createCatalogueCheck(databaseUrl: string): () => Promise<Catalogue> {
  let known: ReadonlySet<string> = new Set();
  let rights: ReadonlySet<string> | undefined;
  /** What is new since the last time is marked; at the first time all findings are. */
  return async () => {
    const { found, matrix } = await look(databaseUrl);
    const findings = found.map((finding) => ({ ...finding, isNew: !known.has(keyOf(finding)) }));
    const now = new Set(found.map(keyOf));
    const mended = [...known].filter((key) => !now.has(key)).length;
    known = now;
    const lines = new Set(matrix.split("\n").filter((line) => line.startsWith("| ")));
    const access = rights ? difference(rights, lines) : [];
    rights = lines;
    return { findings, mended, access };
  };
}

async function look(databaseUrl: string) {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on("error", () => {});
  await client.connect();
  try {
    return { found: await runRules(client), matrix: await accessMatrix(client) };
  } finally {
    await client.end();
  }
}

function difference(before: ReadonlySet<string>, after: ReadonlySet<string>): Right[] {
  const only = (sign: Right["sign"], these: ReadonlySet<string>, those: ReadonlySet<string>) =>
    [...these].filter((line) => !those.has(line)).map((line) => ({ sign, line: cells(line) }));
  return [...only("-", before, after), ...only("+", after, before)].sort((a, b) =>
    a.line.slice(0, 2).join(" ").localeCompare(b.line.slice(0, 2).join(" ")),
  );
}

/** Of a line of a Markdown table. */
function cells(line: string): string[] {
  return line
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|").replaceAll("**", "").replaceAll("`", ""));
}

/** For the terminal: who may what now, and what the rules say; undefined where nothing is new. */
export function describeCatalogue(catalogue: Catalogue): string | undefined {
  const parts = [describeRights(catalogue.access), describeFindings(catalogue)];
  return parts.filter((part) => part !== undefined).join("\n") || undefined;
}

/** Who gains (+) or loses (-) what. That nobody may a thing is said by the line that is gone. */
function describeRights(access: readonly Right[]): string | undefined {
  const lines = access
    .filter(({ line }) => line[2] !== "nobody")
    .map(({ sign, line }) => `  ${sign} ${line.filter((cell) => cell !== "").join(" · ")}`);
  if (lines.length === 0) return undefined;
  const more = lines.length - MAX_RIGHTS;
  return [
    "Who may what:",
    ...lines.slice(0, MAX_RIGHTS),
    ...(more > 0 ? [`  … and ${more} more: npm run db:access, git diff migrations/access.md`] : []),
  ].join("\n");
}

export function describeFindings({
  findings,
  mended,
}: Pick<Catalogue, "findings" | "mended">): string | undefined {
  const fresh = findings.filter(({ isNew }) => isNew);
  if (fresh.length === 0 && mended === 0) return undefined;
  const groups = [...Map.groupBy(fresh, ({ rule }) => rule).values()];
  const more = groups.length - MAX_RULES;
  return [
    ...groups.slice(0, MAX_RULES).map(describe),
    ...(more > 0 ? [`… and ${more} more rules: npm run howdah -- lint`] : []),
    ...(mended > 0 ? [`${mended} ${mended === 1 ? "finding" : "findings"} less`] : []),
  ].join("\n");
}

function keyOf({ rule, object, detail }: Finding): string {
  return `${rule} ${object} ${detail}`;
}

/** What one rule finds: the first in full, the others by name. */
function describe([first, ...others]: Finding[]): string {
  const { level, rule, object, detail, resolution, page } = first as Finding;
  // Of the same reason by name, else each with its own.
  const [same = [], different = []] = [true, false].map((is) =>
    others.filter((other) => (other.detail === detail) === is),
  );
  const names = [...new Set(same.map((other) => other.object))];
  const more = names.length - MAX_OBJECTS;
  const also = names.slice(0, MAX_OBJECTS).join(", ") + (more > 0 ? ` and ${more} more` : "");
  const left = different.length - MAX_OBJECTS;
  return [
    `${level}: ${object} (${rule}, ${page})`,
    `  ${detail}`,
    `  → ${resolution}`,
    ...(names.length > 0 ? [`  also ${also}`] : []),
    ...different.slice(0, MAX_OBJECTS).map((other) => `  also ${other.object}: ${other.detail}`),
    ...(left > 0 ? [`  … and ${left} more: npm run howdah -- lint`] : []),
  ].join("\n");
}
