import type { Logger } from "pino";
import { type Config, ConfigError, loadConfig, type ProcessName } from "../config.ts";
import { createLogger } from "../logger.ts";

/** Two SIGINT within this are one Ctrl-C, milliseconds. */
const ECHO = 500;

/** What giving back may take where a process has to go at once, milliseconds. */
const ABANDON_TIME = 1000;

/** A started process: what stops it. */
export interface Stoppable {
  stop(): Promise<void>;
  /** Gives back what others can go on with: there is no time to finish it. */
  abandon?(): Promise<void>;
}

/**
 * The frame around every long-running process: settings, one clear line where it cannot start
 * (exit 1), a drain on SIGTERM or SIGINT (exit 0), and out at once on the second one or when time is
 * up (exit 1).
 */
export async function runProcess(
  name: ProcessName,
  start: (config: Config, logger: Logger) => Promise<Stoppable>,
): Promise<void> {
  const stopRequested = Promise.withResolvers<void>();
  let requestedAt: number | undefined;
  let running: Stoppable | undefined;
  let leaving = false;
  async function leaveNow(): Promise<void> {
    if (leaving || !running?.abandon) process.exit(1);
    leaving = true;
    setTimeout(() => process.exit(1), ABANDON_TIME);
    // What cannot be given back is taken up by others later.
    await running.abandon().catch(() => undefined);
    process.exit(1);
  }
  const onSignal = (signal: NodeJS.Signals) => {
    // npm passes on the Ctrl-C that the terminal has sent to us already: that is one, not two.
    const echo =
      signal === "SIGINT" && requestedAt !== undefined && Date.now() - requestedAt < ECHO;
    if (echo) return;
    if (requestedAt !== undefined) return void leaveNow();
    requestedAt ??= Date.now();
    stopRequested.resolve();
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  // From the process that began this one (API_PROCESSES): no signal, which would count as a second.
  process.on("message", (message) => {
    if (message === "stop") stopRequested.resolve();
  });

  let config: Config;
  try {
    config = loadConfig(name, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
  const logger = createLogger({
    pretty: !config.production && process.stdout.isTTY === true,
    level: config.logLevel,
  });
  try {
    running = await start(config, logger);
  } catch (error) {
    console.error(`howdah ${name} cannot start: ${startFault(error, config)}`);
    logger.debug({ error }, "start failed");
    process.exit(1);
  }

  await stopRequested.promise;
  const deadline = setTimeout(() => {
    logger.error(`not stopped within SHUTDOWN_SECONDS (${config.shutdownSeconds})`);
    void leaveNow();
  }, config.shutdownSeconds * 1000);
  await running.stop();
  clearTimeout(deadline);
  process.exit(0);
}

/** One sentence that its reader can act on. No URL: it may hold a password. */
export function startFault(error: unknown, config: Config): string {
  const { code, message, port } = error as { code?: string; message?: string; port?: number };
  const server = databaseServer(config);
  switch (code) {
    case "EADDRINUSE":
      return `port ${port} is taken. Stop what uses it, or set ${portVariable(port, config)} to another.`;
    case "EACCES":
      return `this user may not do it (${message}).`;
    case "ECONNREFUSED":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
      return `the database${server} is not reachable (${code}). Check DATABASE_URL and AUTHENTICATOR_DATABASE_URL.`;
    case "28P01":
    case "28000":
      return `the database${server} refuses this user or password. Check DATABASE_URL and AUTHENTICATOR_DATABASE_URL.`;
    case "3D000":
      return `the database${server} does not exist. Create it, or check DATABASE_URL.`;
    case "3F000":
    case "42P01":
    case "42883":
      return "the database has not been migrated. Run `npm run migrate` first.";
    default:
      return message || String(error);
  }
}

function databaseServer(config: Config): string {
  const url = config.databaseUrl ?? config.authenticatorDatabaseUrl;
  return url === undefined ? "" : ` at ${new URL(url).host}`;
}

function portVariable(port: number | undefined, config: Config): string {
  if (port === config.api.port) return "PORT";
  if (port === config.api.opsPort) return "OPS_PORT";
  if (port === config.worker.opsPort) return "WORKER_OPS_PORT";
  if (port === config.fcmEmulatorPort) return "FCM_EMULATOR_PORT";
  return "its variable";
}
