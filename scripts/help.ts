import { chalk } from "zx";
import type { Command } from "./command.ts";

const CALL = "npm run howdah --";
const EXITS =
  "Exit codes: 0 done, 1 refused or failed (a line on stderr says why), 2 not a valid call.";

/** Every command with its line. */
export function overview(commands: Readonly<Record<string, Pick<Command, "summary">>>): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const lines = Object.entries(commands).map(
    ([name, { summary }]) => `  ${chalk.bold(name.padEnd(width))}  ${summary}`,
  );
  return [
    `${CALL} COMMAND [--json]`,
    "",
    ...lines,
    "",
    `${CALL} COMMAND --help says what one takes. It works on DATABASE_URL (the owner's), or on the`,
    "embedded database of DATA_DIR. --json prints the answer for programs.",
    EXITS,
  ].join("\n");
}

/** All about one command. */
export function helpFor(name: string, command: Command): string {
  const options = Object.entries({
    ...command.options,
    json: { help: "prints the answer for programs" },
  } as NonNullable<Command["options"]>).map(
    ([option, { value, help }]) => [`--${option}${value ? ` ${value}` : ""}`, help] as const,
  );
  const width = Math.max(...options.map(([option]) => option.length));
  return [
    `${CALL} ${name} ${command.usage}`.trimEnd(),
    "",
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.`,
    ...(command.details ? [command.details] : []),
    "",
    ...options.map(([option, help]) => `  ${option.padEnd(width)}  ${help}`),
    ...(command.examples
      ? ["", "For example:", ...command.examples.map((example) => `  ${CALL} ${example}`)]
      : []),
    "",
    EXITS,
  ].join("\n");
}
