import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import pg from "pg";
import { ConfigError, loadConfig } from "../src/config.ts";
import { openConnections } from "../src/database/connections.ts";
import { type Finding, type Level, type RuleOptions, runRules } from "../src/rules/run-rules.ts";

/** Milliseconds to wait for a server that does not answer. */
const CONNECT_TIMEOUT = 10_000;

/** What could not be judged, and why: one line, without any URL. */
export class LintError extends Error {
  override name = "LintError";
}

interface LintOptions {
  rules: RuleOptions;
  databaseUrl: string | undefined;
  /** Judges the committed migrations, in a database made for that. */
  migrations: boolean;
  json: boolean;
  strict: boolean;
}

export const LINT_USAGE =
  "lint [--database-url URL | --migrations] [--schema NAME]… [--internal-schema NAME]… [--role NAME]… [--sharding-column NAME] [--rule NAME]… [--strict] [--json]";

/**
 * Judges a schema by the rules of src/rules and prints what they find.
 * @returns the exit code: 1 where an error was found, or anything with --strict
 * @throws LintError
 */
export async function lint(
  args: string[],
  environment: NodeJS.ProcessEnv,
  printer: Pick<Console, "log">,
): Promise<number> {
  const options = parseOptions(args);
  const findings = await findIn(options, environment);
  printer.log(options.json ? JSON.stringify(findings, null, 2) : report(findings));
  return findings.some(({ level }) => options.strict || level === "error") ? 1 : 0;
}

function parseOptions(args: string[]): LintOptions {
  try {
    const { values } = parseArgs({
      args,
      options: {
        "database-url": { type: "string" },
        migrations: { type: "boolean", default: false },
        schema: { type: "string", multiple: true },
        "internal-schema": { type: "string", multiple: true },
        role: { type: "string", multiple: true },
        "sharding-column": { type: "string" },
        rule: { type: "string", multiple: true },
        json: { type: "boolean", default: false },
        strict: { type: "boolean", default: false },
      },
    });
    const { migrations, json, strict, schema, role, rule } = values;
    if (migrations && values["database-url"] !== undefined) {
      throw new LintError("Give --database-url or --migrations, not both.");
    }
    const internal = values["internal-schema"];
    const shardingColumn = values["sharding-column"];
    return {
      databaseUrl: values["database-url"],
      migrations,
      json,
      strict,
      rules: {
        ...(schema && { schemas: schema }),
        ...(internal && { internalSchemas: internal }),
        ...(role && { roles: role }),
        ...(shardingColumn && { shardingColumn }),
        ...(rule && { rules: rule }),
      },
    };
  } catch (error) {
    if (error instanceof LintError) throw error;
    // parseArgs repeats what it did not understand, which may be a URL without its flag.
    const { code } = error as { code?: string };
    const message =
      code === "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL"
        ? "An argument has no flag."
        : (error as Error).message.split(/[\n.]/, 1)[0];
    throw new LintError(`${message} Usage: npm run howdah -- ${LINT_USAGE}`, { cause: error });
  }
}

async function findIn(options: LintOptions, environment: NodeJS.ProcessEnv): Promise<Finding[]> {
  await using stack = new AsyncDisposableStack();
  let server = "";
  try {
    const url = await urlOf(options, environment, stack);
    const host = hostOf(url);
    if (host !== "") server = ` at ${host}`;
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: CONNECT_TIMEOUT,
    });
    // A connection that breaks fails its query, too.
    client.on("error", () => {});
    stack.defer(() => client.end());
    await client.connect();
    return await runRules(client, options.rules);
  } catch (error) {
    if (error instanceof LintError || error instanceof ConfigError) throw error;
    throw new LintError(fault(error, server), { cause: error });
  }
}

function hostOf(url: string): string {
  const parsed = URL.parse(url);
  if (!parsed || !/^postgres(ql)?:$/.test(parsed.protocol)) {
    throw new LintError("--database-url is no URL such as postgres://user@host:5432/name.");
  }
  return parsed.host;
}

async function urlOf(
  options: LintOptions,
  environment: NodeJS.ProcessEnv,
  stack: AsyncDisposableStack,
): Promise<string> {
  if (options.databaseUrl !== undefined) return options.databaseUrl;
  if (options.migrations) {
    const { createThrowawayDatabase } = await import("../src/database/throwaway.ts");
    const database = await createThrowawayDatabase(randomBytes(24).toString("base64url"));
    stack.defer(() => database.drop());
    return database.ownerUrl;
  }
  const connections = await openConnections(loadConfig("howdah", environment));
  stack.defer(() => connections.stop());
  // The catalogue is the same for all who may connect.
  return (connections.ownerUrl ?? connections.authenticatorUrl) as string;
}

function fault(error: unknown, server: string): string {
  const { code, message, name } = error as { code?: string; message?: string; name?: string };
  if (name === "UnknownRuleError") return message as string;
  if (name === "UnknownNameError") {
    return `${message} Name those of this database with --schema and --role.`;
  }
  if (code === "28P01" || code === "28000") {
    return `The database${server} refuses this user or password.`;
  }
  if (code === "3D000") return `The database${server} does not exist.`;
  if (code !== undefined && /^E[A-Z]/.test(code)) {
    return `The database${server} is not reachable (${code}).`;
  }
  if (/timeout/i.test(message ?? "")) {
    return `The database${server} does not answer within ${CONNECT_TIMEOUT / 1000} seconds.`;
  }
  const [line] = (message || String(error)).split("\n", 1);
  return `The rules cannot be run${server}: ${line}`;
}

/** For people: by level, and under each the objects with what is wrong and what mends it. */
function report(findings: readonly Finding[]): string {
  const errors = findings.filter(({ level }) => level === "error");
  const warnings = findings.filter(({ level }) => level === "warning");
  return [
    ...section("error", errors),
    ...section("warning", warnings),
    `${count(errors.length, "error")}, ${count(warnings.length, "warning")}.`,
  ].join("\n");
}

function section(level: Level, findings: readonly Finding[]): string[] {
  if (findings.length === 0) return [];
  return [
    `${level.toUpperCase()}S`,
    "",
    ...findings.flatMap(({ rule, object, detail, resolution, page }) => [
      `${object}  ${rule}`,
      `  ${detail}`,
      `  → ${resolution}`,
      `  ${page}`,
      "",
    ]),
  ];
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
