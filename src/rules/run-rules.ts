import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";

/** `error`: the schema leaks or will fail. `warning`: it is badly built. */
export type Level = "error" | "warning";

export interface Finding {
  rule: string;
  level: Level;
  /** What it is about, such as `app_public.items.user_id`. */
  object: string;
  /** What is wrong there: a sentence. */
  detail: string;
  /** What mends it: SQL, or a sentence. */
  resolution: string;
  /** Of the rule, from the root of the project. */
  page: string;
}

export interface RuleOptions {
  /** Names of those that judge; all unless named. */
  rules?: readonly string[];
  /** Schemas of the API. */
  schemas?: readonly string[];
  /** Schemas that are ours but not in the API. None where `schemas` is given without it. */
  internalSchemas?: readonly string[];
  /** Roles of a request; the first is that of nobody. */
  roles?: readonly string[];
  /** By which a sharded table is distributed. */
  shardingColumn?: string;
}

export interface Rule {
  name: string;
  level: Level;
  /** What it finds, in a few words. */
  title: string;
  sql: string;
}

/** A rule that was named does not exist: nothing was judged. */
export class UnknownRuleError extends Error {
  override name = "UnknownRuleError";
}

/** A schema or role that was named does not exist: nothing was judged. */
export class UnknownNameError extends Error {
  override name = "UnknownNameError";
}

export const DEFAULTS = {
  schemas: ["app_public"],
  internalSchemas: ["app_hidden", "app_private", "app_audiences"],
  roles: ["howdah_anonymous", "howdah_user", "howdah_operator"],
  shardingColumn: "user_id",
} as const satisfies Required<Omit<RuleOptions, "rules">>;

const FOLDER = import.meta.dirname;
let allRules: Promise<readonly Rule[]> | undefined;
/** By the names of its rules. */
const statements = new Map<string, Promise<string>>();

/**
 * What the rules find in a database, in one round trip that reads its catalogue only; errors first,
 * then by rule and object. What a comment allows with a reason is left out.
 * @throws UnknownNameError, UnknownRuleError
 */
export async function runRules(
  client: Pick<pg.ClientBase, "query">,
  options: RuleOptions = {},
): Promise<Finding[]> {
  allRules ??= readRules();
  const rules = await allRules;
  const judging = options.rules ? named(rules, options.rules) : rules;
  const key = judging.map(({ name }) => name).join();
  const statement = statements.get(key) ?? createStatement(judging);
  statements.set(key, statement);
  const text = await statement;
  const { schemas = DEFAULTS.schemas, roles = DEFAULTS.roles } = options;
  const internalSchemas =
    options.internalSchemas ?? (options.schemas ? [] : DEFAULTS.internalSchemas);
  const { rows } = await client.query<Omit<Finding, "level" | "page">>(text, [
    schemas,
    internalSchemas,
    roles,
    roles.slice(0, 1),
    options.shardingColumn ?? DEFAULTS.shardingColumn,
    rules.map(({ name }) => name),
  ]);
  const unknown = rows.find(({ rule }) => rule === "");
  if (unknown) throw new UnknownNameError(`There is no ${unknown.detail} ${unknown.object}.`);
  const levels = new Map(rules.map(({ name, level }) => [name, level]));
  return rows
    .map((row) => ({
      ...row,
      level: levels.get(row.rule) as Level,
      page: `docs/rules/${row.rule}.md`,
    }))
    .sort((a, b) => Number(a.level === "warning") - Number(b.level === "warning"));
}

/** The rules of this folder: a file each, whose first line says `-- level: title`. */
export async function readRules(): Promise<Rule[]> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith(".sql")).sort();
  return Promise.all(
    files.map(async (file) => {
      const sql = await readFile(join(FOLDER, file), "utf8");
      const [, level, title] = /^-- (error|warning): (.+)\n/.exec(sql) ?? [];
      if (!level || !title) throw new Error(`${file} does not begin with -- error: or -- warning:`);
      return { name: file.replace(/\.sql$/, ""), level: level as Level, title, sql };
    }),
  );
}

function named(rules: readonly Rule[], names: readonly string[]): readonly Rule[] {
  const unknown = names.find((name) => !rules.some((rule) => rule.name === name));
  if (unknown !== undefined) {
    throw new UnknownRuleError(`There is no rule ${unknown}: docs/rules/README.md has them all.`);
  }
  return rules.filter(({ name }) => names.includes(name));
}

/** These rules as one statement; rows with the rule '' are names that do not exist. */
async function createStatement(rules: readonly Rule[]): Promise<string> {
  const terms = await readFile(join(FOLDER, "terms/terms.sql"), "utf8");
  const frame = await readFile(join(FOLDER, "terms/frame.sql"), "utf8");
  const findings = rules.map(
    ({ name, sql }) =>
      `select '${name}' as rule, f.object::text, f.detail, f.resolution,
         f.class_id, f.object_id, f.sub_id\nfrom (\n${sql}) f`,
  );
  return `with\n${terms},\nfinding as (\n${findings.join("\nunion all\n")}\n)\n${frame}`;
}
