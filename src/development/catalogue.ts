import pg from "pg";
import { type Finding, runRules } from "../rules/run-rules.ts";

/** Findings shown with what mends them; the others are counted. */
const MAX_SHOWN = 5;

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
    const shown = fresh.slice(0, MAX_SHOWN).map(describe);
    const more = fresh.length - shown.length;
    return [
      ...shown,
      ...(more > 0 ? [`… and ${more} more: npm run howdah -- lint`] : []),
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

function describe({ level, rule, object, detail, resolution, page }: Finding): string {
  return `${level}: ${object} (${rule}, ${page})\n  ${detail}\n  → ${resolution}`;
}
