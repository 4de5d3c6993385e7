import { credentialsKeys } from "../../src/auth/keys.ts";
import { PROVIDER_TOKENS } from "../../src/auth/provider-tokens.ts";
import { createKeyring } from "../../src/auth/sealing.ts";
import { ImportError } from "../../src/import/faults.ts";
import { importFastapi as run } from "../../src/import/import.ts";
import { reportText } from "../../src/import/report.ts";
import { type Command, CommandError, UsageError } from "../command.ts";

export const importFastapi: Command = {
  usage: "--from URL [--dry-run]",
  args: 0,
  summary: "moves a database of the FastAPI template here; can be run again",
  details:
    "In one transaction: users with their passwords, sessions, devices, notifications, identities and items, and for each row that is skipped why. docs/from-fastapi.md says what becomes of what.",
  options: {
    from: { value: "URL", help: "the old database, postgres://user:password@host/database" },
    "dry-run": { help: "does it all, says what was done, and undoes it" },
  },
  examples: ["import:fastapi --from postgres://app@db.example.com/app --dry-run"],
  async run({ database, config, options, progress }) {
    const { from } = options;
    if (typeof from !== "string" || from === "") {
      throw new UsageError("From where? Give --from postgres://user:password@host/database.");
    }
    const keyring = createKeyring(await credentialsKeys(config), PROVIDER_TOKENS);
    progress("moving");
    try {
      const dryRun = options["dry-run"] === true;
      const report = await run({ from, target: database, keyring, dryRun });
      return { json: report, text: [reportText(report)] };
    } catch (error) {
      if (!(error instanceof ImportError)) throw error;
      throw new CommandError(`Not imported: ${error.message}`, { cause: error });
    }
  },
};
