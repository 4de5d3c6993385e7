import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { NewError } from "./names.ts";
import { planFunction } from "./new-function.ts";
import { planTable } from "./new-table.ts";
import { planTask } from "./new-task.ts";
import { carryOut, type Plan, show } from "./plan.ts";
import { checkFreeInDatabase } from "./taken.ts";

const ROOT = resolve(import.meta.dirname, "../..");

interface Options {
  "owned-by"?: string;
  live?: boolean;
  returns?: string;
  volatile?: boolean;
}

interface Kind {
  usage: string;
  help: string;
  flags: NonNullable<Parameters<typeof parseArgs>[0]>["options"];
  plan(root: string, names: string[], options: Options): Promise<Plan>;
}

/** What can be made, by the command that makes it. */
export const KINDS: Readonly<Record<string, Kind>> = {
  "new:table": {
    usage: "new:table NAME [COLUMN:TYPE[?]]… [--owned-by users] [--live] [--dry-run]",
    help: "adds a table with its policies to current.sql, and its first tests",
    flags: { "owned-by": { type: "string" }, live: { type: "boolean" } },
    plan: planTable,
  },
  "new:function": {
    usage: "new:function NAME [ARGUMENT:TYPE]… [--returns TYPE] [--volatile] [--dry-run]",
    help: "adds a query or, if volatile, a mutation to current.sql, and its first tests",
    flags: { returns: { type: "string" }, volatile: { type: "boolean" } },
    plan: planFunction,
  },
  "new:task": {
    usage: "new:task NAME [--dry-run]",
    help: "makes a task of the worker, and its first tests",
    flags: {},
    plan: planTask,
  },
};

/** @returns the exit code */
export async function makeNew(command: string, args: string[]): Promise<number> {
  const kind = KINDS[command] as Kind;
  try {
    const { names, options, isDry } = parse(kind, args);
    const plan = await kind.plan(ROOT, names, options);
    if (plan.object !== undefined) await checkFreeInDatabase(plan.object);
    if (isDry) show(ROOT, plan);
    else await carryOut(ROOT, plan);
    return 0;
  } catch (error) {
    if (!(error instanceof NewError)) throw error;
    console.error(error.message);
    return 1;
  }
}

function parse(kind: Kind, args: string[]) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...kind.flags, "dry-run": { type: "boolean" } },
    });
    const { "dry-run": isDry, ...options } = values as Options & { "dry-run"?: boolean };
    return { names: positionals, options, isDry: isDry ?? false };
  } catch (error) {
    const [line] = (error as Error).message.split(/[\n.]/, 1);
    throw new NewError(`${line}. Usage: npm run howdah -- ${kind.usage}`, { cause: error });
  }
}
