import pg from "pg";
import { minimist } from "zx";
import { credentialsKeys } from "../src/auth/keys.ts";
import { PROVIDER_TOKENS, rotateProviderTokens } from "../src/auth/provider-tokens.ts";
import { createKeyring } from "../src/auth/sealing.ts";
import { type Config, ConfigError, loadConfig } from "../src/config.ts";
import { openConnections } from "../src/database/connections.ts";
import { ImportError } from "../src/import/faults.ts";
import { importFastapi } from "../src/import/import.ts";
import { reportText } from "../src/import/report.ts";
import { startFault } from "../src/processes/run.ts";
import { access } from "./access.ts";
import { LINT_USAGE, LintError, lint } from "./lint.ts";
import { KINDS, makeNew } from "./new/new.ts";

/** What went wrong, for the person at the keyboard: one line, exit 1. */
class CommandError extends Error {
  override name = "CommandError";
}

interface Command {
  usage: string;
  help: string;
  /** Names of what is given as `--name`; for the others, the command does not run. */
  options?: readonly string[];
  run(database: pg.Client, args: string[], config: Config, options: Options): Promise<void>;
}

/** By name: text, or true where there is none. */
type Options = Readonly<Record<string, unknown>>;

const COMMANDS: Readonly<Record<string, Command>> = {
  "operator:grant": {
    usage: "operator:grant EMAIL",
    help: "makes a user an operator, from their next refresh or log-in on",
    async run(database, [email]) {
      const id = await userByEmail(database, email);
      await database.query(
        "insert into app_private.operators (user_id) values ($1) on conflict do nothing",
        [id],
      );
      console.log(`User ${id} is an operator.`);
      const { rowCount: unproven } = await database.query(
        "select from app_public.users where id = $1 and not email_verified",
        [id],
      );
      if (unproven) console.error("Nobody has proven this address: make sure that it is them.");
    },
  },
  "operator:revoke": {
    usage: "operator:revoke EMAIL",
    help: "takes the right back; an operator's token is refused at once",
    async run(database, [email]) {
      const id = await userByEmail(database, email);
      await database.query("delete from app_private.operators where user_id = $1", [id]);
      console.log(`User ${id} is not an operator any more.`);
    },
  },
  "credentials:rotate": {
    usage: "credentials:rotate",
    help: "encrypts providers' tokens anew with CREDENTIALS_KEY, after which CREDENTIALS_PREVIOUS_KEYS can go",
    async run(database, _args, config) {
      const keyring = createKeyring(await credentialsKeys(config), PROVIDER_TOKENS);
      const count = await rotateProviderTokens(database, keyring);
      console.log(`${count} credentials were encrypted anew.`);
    },
  },
  "import:fastapi": {
    usage: "import:fastapi --from URL [--dry-run] [--json]",
    help: "moves a database of the FastAPI template here; can be run again (docs/from-fastapi.md)",
    options: ["from", "dry-run", "json"],
    async run(database, _args, config, { from, "dry-run": dryRun, json }) {
      if (typeof from !== "string" || from === "") {
        throw new CommandError("From where? Give --from postgres://user:password@host/database.");
      }
      const keyring = createKeyring(await credentialsKeys(config), PROVIDER_TOKENS);
      const report = await importFastapi({
        from,
        target: database,
        keyring,
        dryRun: dryRun === true,
      });
      console.log(json === true ? JSON.stringify(report) : reportText(report));
    },
  },
  deliveries: {
    usage: "deliveries NOTIFICATION_ID",
    help: "shows what became of a notification on each device",
    async run(database, [id]) {
      const { rows } = await database.query(
        `select user_id, device_token_id as device, device_type as type, status, attempts,
           error_code as error, sent_at, next_attempt_at as next_attempt
         from app_public.notification_deliveries where notification_id = $1 order by id limit 1000`,
        [idOf(id, "notification")],
      );
      if (rows.length === 0) throw new CommandError(`Notification ${id} has no deliveries.`);
      console.table(rows);
    },
  },
  pauses: {
    usage: "pauses",
    help: "shows what is paused, and addresses whose death an operator has to confirm",
    async run(database) {
      const { rows: pauses } = await database.query(
        `select id, coalesce(device_type::text, 'all') as platform, error_code as error, occurrences,
           paused_until
         from app_public.push_pauses where ended_at is null order by id`,
      );
      const { rows: breakers } = await database.query(
        `select id, device_type as platform, deliveries, created_at
         from app_public.circuit_breakers where decided_at is null order by id`,
      );
      if (pauses.length === 0) console.log("Nothing is paused.");
      else console.table(pauses);
      if (breakers.length === 0) console.log("No circuit breaker is open.");
      else console.table(breakers);
    },
  },
  "pause:lift": {
    usage: "pause:lift PAUSE_ID",
    help: "ends a pause; what waited for it is sent now",
    async run(database, [id]) {
      await database.query("select app_public.lift_push_pause($1)", [idOf(id, "pause")]);
      console.log(`Pause ${id} is over.`);
    },
  },
  "breaker:decide": {
    usage: "breaker:decide BREAKER_ID retry|tombstone",
    help: "sends again to addresses that seemed dead, or disables their devices",
    async run(database, [id, decision]) {
      await database.query("select app_public.decide_circuit_breaker($1, $2)", [
        idOf(id, "circuit breaker"),
        decision ?? "",
      ]);
      console.log(`Circuit breaker ${id}: ${decision}.`);
    },
  },
  jobs: {
    usage: "jobs",
    help: "shows what waits in the queue, by task",
    async run(database) {
      const { rows } = await database.query(
        `select task_identifier as task, count(*)::int as jobs, min(run_at) as first_run_at,
           (count(*) filter (where locked_at is not null))::int as running,
           (count(*) filter (where attempts >= max_attempts))::int as given_up
         from graphile_worker.jobs group by 1 order by 1`,
      );
      if (rows.length === 0) console.log("The queue is empty.");
      else console.table(rows);
    },
  },
};

/** `npm run howdah -- COMMAND`. */
export async function main(): Promise<void> {
  if (process.argv[2] === "lint") return lintMain(process.argv.slice(3));
  if (process.argv[2] === "access") {
    process.exitCode = await access();
    return;
  }
  if (process.argv[2] !== undefined && Object.hasOwn(KINDS, process.argv[2])) {
    process.exitCode = await makeNew(process.argv[2], process.argv.slice(3));
    return;
  }
  const parsed = minimist(process.argv.slice(2), {
    string: ["_", "from"],
    boolean: ["dry-run", "json"],
  });
  const { _: words, ...options } = parsed;
  const [name, ...args] = words;
  const command = name === undefined ? undefined : COMMANDS[name];
  if (!command) {
    console.log(help());
    process.exitCode = name === undefined ? 0 : 1;
    return;
  }
  try {
    assertKnown(command, args, options);
    await withDatabase((database, config) => command.run(database, args, config, options));
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

/** The one command that reads flags, and works on any database. */
async function lintMain(args: string[]): Promise<void> {
  try {
    process.exitCode = await lint(args);
  } catch (error) {
    if (!(error instanceof LintError || error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}

/** A slip such as --dryrun must not do the real thing. */
function assertKnown({ options: known }: Command, args: string[], options: Options): void {
  if (!known) return;
  const given = Object.keys(options).filter((option) => options[option] !== false);
  const strange = given.find((option) => !known.includes(option));
  if (strange !== undefined) throw new CommandError(`There is no option --${strange}.`);
  if (args.length > 0) throw new CommandError("This command takes options only; see --help.");
}

async function withDatabase(
  run: (database: pg.Client, config: Config) => Promise<void>,
): Promise<void> {
  const config = loadConfig("howdah", process.env);
  await using stack = new AsyncDisposableStack();
  try {
    const connections = await openConnections(config);
    stack.defer(() => connections.stop());
    const database = new pg.Client({ connectionString: connections.ownerUrl });
    await database.connect();
    stack.defer(() => database.end());
    await run(database, config);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    if (error instanceof ImportError) {
      throw new CommandError(`Not imported: ${error.message}`, { cause: error });
    }
    // What SQL refuses on purpose speaks to people already.
    const { code, message } = error as { code?: string; message: string };
    if (code?.startsWith("HW")) throw new CommandError(message, { cause: error });
    throw new CommandError(startFault(error, config), { cause: error });
  }
}

function idOf(text: string | undefined, what: string): number {
  if (!/^\d{1,9}$/.test(text ?? "")) throw new CommandError(`Which ${what}? Give its id.`);
  return Number(text);
}

async function userByEmail(database: pg.Client, email: string | undefined): Promise<number> {
  if (email === undefined) throw new CommandError("Which user? Give an e-mail address.");
  const { rows } = await database.query<{ id: number }>(
    "select id from app_public.users where email = app_hidden.normalize_email($1) and deleted_at is null",
    [email],
  );
  const [user] = rows;
  if (!user) throw new CommandError(`There is no user ${email}.`);
  return user.id;
}

function help(): string {
  const width = Math.max(...Object.values(COMMANDS).map(({ usage }) => usage.length));
  const lines = Object.values(COMMANDS).map(
    ({ usage, help }) => `  ${usage.padEnd(width)}  ${help}`,
  );
  lines.push(`  ${"lint".padEnd(width)}  judges the schema by docs/rules: ${LINT_USAGE}`);
  lines.push(
    `  ${"access".padEnd(width)}  writes migrations/access.md: who may what, by the migrations`,
  );
  return `npm run howdah -- COMMAND\n\n${lines.join("\n")}\n\nIt works on DATABASE_URL, or on the embedded database.`;
}
