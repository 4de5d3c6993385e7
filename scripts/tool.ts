import { parseArgs } from "node:util";
import pg from "pg";
import { ConfigError, loadConfig } from "../src/config.ts";
import { openConnections } from "../src/database/connections.ts";
import { startFault } from "../src/processes/run.ts";
import { CHORES } from "./chores.ts";
import {
  type Answer,
  type Command,
  type CommandContext,
  CommandError,
  UsageError,
} from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { helpFor, overview } from "./help.ts";
import { LintError } from "./lint.ts";
import { createProgress } from "./progress.ts";

/** `npm run howdah -- COMMAND`. */
export async function main(): Promise<void> {
  process.exitCode = await callTool(process.argv.slice(2), process.env, console);
}

/**
 * Runs one command and prints its answer.
 * @returns the exit code: 0 done, 1 refused or failed, 2 not a valid call
 */
export async function callTool(
  [name, ...rest]: readonly string[],
  environment: NodeJS.ProcessEnv,
  printer: Pick<Console, "log" | "error" | "table">,
): Promise<number> {
  if (name === undefined || name === "--help" || name === "help" || name === "-h") {
    printer.log(overview({ ...COMMANDS, ...CHORES }));
    return 0;
  }
  const chore = Object.hasOwn(CHORES, name) ? CHORES[name] : undefined;
  if (chore) return doChore(chore, rest, environment, printer);
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) {
    printer.error(`There is no command ${name}.\n\n${overview({ ...COMMANDS, ...CHORES })}`);
    return 2;
  }
  try {
    const { args, options } = parse(command, rest);
    if (options.help) {
      printer.log(helpFor(name, command));
      return 0;
    }
    const answer = await answerOf(command, args, options, environment);
    print(answer, options.json === true, printer);
    return 0;
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof ConfigError)) throw error;
    printer.error(error.message);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function doChore(
  { usage, summary, run }: (typeof CHORES)[string],
  args: string[],
  environment: NodeJS.ProcessEnv,
  printer: Pick<Console, "log" | "error">,
): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    printer.log(`npm run howdah -- ${usage}\n\n${summary}`);
    return 0;
  }
  try {
    return await run(args, environment, printer);
  } catch (error) {
    if (!(error instanceof LintError || error instanceof ConfigError)) throw error;
    printer.error(error.message);
    return 1;
  }
}

function parse(command: Command, rest: string[]) {
  const options = Object.entries(command.options ?? {}).map(([option, { value, isRepeated }]) => [
    option,
    { type: value ? "string" : "boolean", multiple: isRepeated ?? false },
  ]);
  try {
    const { positionals, values } = parseArgs({
      args: rest,
      allowPositionals: true,
      options: {
        ...Object.fromEntries(options),
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    const given = values as CommandContext["options"];
    if (positionals.length > command.args && !given.help) {
      throw new UsageError(`"${positionals[command.args]}" is one argument too many.`);
    }
    return { args: positionals, options: given };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    if ((error as { code?: string }).code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
      // Node.js goes on about positional arguments.
      const [sentence] = (error as Error).message.split(". ");
      const known = [...options.map(([option]) => option), "json", "help"];
      throw new UsageError(
        `${sentence}. It takes ${known.map((option) => `--${option}`).join(", ")}.`,
        { cause: error },
      );
    }
    throw new UsageError((error as Error).message, { cause: error });
  }
}

async function answerOf(
  command: Command,
  args: string[],
  options: CommandContext["options"],
  environment: NodeJS.ProcessEnv,
): Promise<Answer> {
  const config = loadConfig("howdah", environment);
  await using stack = new AsyncDisposableStack();
  try {
    const connections = await openConnections(config);
    stack.defer(() => connections.stop());
    const database = new pg.Client({ connectionString: connections.ownerUrl });
    await database.connect();
    stack.defer(() => database.end());
    const progress = createProgress();
    stack.defer(() => progress.end());
    return await command.run({ database, config, args, options, progress: progress.say });
  } catch (error) {
    if (error instanceof CommandError) throw error;
    // What SQL refuses on purpose speaks to people already.
    const { code, message, detail, hint } = error as pg.DatabaseError;
    if (code?.startsWith("HW")) {
      const said = detail ? `${message} (${detail})` : message;
      throw new CommandError(hint ? `${said}\n${hint}` : said, { cause: error });
    }
    throw new CommandError(startFault(error, config), { cause: error });
  }
}

/** What users wrote must not speak to the terminal: its control characters are shown as what they are. */
function harmless(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant
    /[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function print(
  { json, text, warning }: Answer,
  isJson: boolean,
  printer: Pick<Console, "log" | "error" | "table">,
): void {
  if (isJson) printer.log(JSON.stringify(json, null, 2));
  else {
    for (const part of text) {
      if (typeof part === "string") printer.log(harmless(part));
      else printer.table(part);
    }
  }
  if (warning) printer.error(warning);
}
