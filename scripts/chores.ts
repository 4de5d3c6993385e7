import { access } from "./access.ts";
import { LINT_USAGE, lint } from "./lint.ts";
import { KINDS, makeNew } from "./new/new.ts";

/** What developers do with the project's files or with any database: no command for a running Howdah. */
interface Chore {
  usage: string;
  summary: string;
  /** Reads its own options. @returns the exit code */
  run(
    args: string[],
    environment: NodeJS.ProcessEnv,
    printer: Pick<Console, "log">,
  ): Promise<number>;
}

export const CHORES: Readonly<Record<string, Chore>> = {
  lint: { usage: LINT_USAGE, summary: "judges a schema by docs/rules", run: lint },
  access: {
    usage: "access",
    summary: "writes migrations/access.md: who may what, by the migrations",
    run: access,
  },
  ...Object.fromEntries(
    Object.entries(KINDS).map(([name, { usage, help }]) => [
      name,
      { usage, summary: help, run: (args: string[]) => makeNew(name, args) },
    ]),
  ),
};
