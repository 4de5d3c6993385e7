import pg from "pg";
import { type Finding, runRules } from "../rules/run-rules.ts";

/** Rules that are shown, and objects of each; the others are counted. */
const MAX_RULES = 8;
const MAX_OBJECTS = 10;

/** Looks at the schema with the rules of src/rules after each change of it. */
export function createCatalogueCheck(databaseUrl: string): () => Promise<string | undefined> {
  let known: ReadonlySet<string> | undefined;
  /** What is new since the last time, for the terminal; at the first time all there is. */
  return async () => {
    const findings = await find(databaseUrl);
    const before = known ?? new Set();
    known = new Set(findings.map(keyOf));
    const fresh = findings.filter((finding) => !before.has(keyOf(finding)));
    const gone = [...before].filter((key) => !known?.has(key)).length;
    if (fresh.length === 0 && gone === 0) return undefined;
    const groups = [...Map.groupBy(fresh, ({ rule }) => rule).values()];
    const more = groups.length - MAX_RULES;
    return [
      ...groups.slice(0, MAX_RULES).map(describe),
      ...(more > 0 ? [`… and ${more} more rules: npm run howdah -- lint`] : []),
      ...(gone > 0 ? [`${gone} ${gone === 1 ? "finding" : "findings"} less`] : []),
    ].join("\n");
  };
}

async function find(databaseUrl: string): Promise<Finding[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on("error", () => {});
  await client.connect();
  try {
    return await runRules(client);
  } finally {
    await client.end();
  }
}

function keyOf({ rule, object, detail }: Finding): string {
  return `${rule} ${object} ${detail}`;
}

/** What one rule finds: the first in full, the others by name. */
function describe([first, ...others]: Finding[]): string {
  const { level, rule, object, detail, resolution, page } = first as Finding;
  const names = [...new Set(others.map((other) => other.object))];
  const more = names.length - MAX_OBJECTS;
  const also = names.slice(0, MAX_OBJECTS).join(", ") + (more > 0 ? ` and ${more} more` : "");
  return [
    `${level}: ${object} (${rule}, ${page})`,
    `  ${detail}`,
    `  → ${resolution}`,
    ...(names.length > 0 ? [`  also ${also}`] : []),
  ].join("\n");
}
