import { type DestinationStream, type Logger, type LoggerOptions, pino } from "pino";
import { redact } from "./redact.ts";

/** Lines are written together where many come at once; each within this, milliseconds. */
const FLUSH_INTERVAL = 100;
const BUFFER = 4096;

/**
 * The process's log: JSON lines on stdout; in development readable ones. What may hold a secret or
 * an address is not logged in the first place; the redaction here is the second fence.
 */
export function createLogger(
  options: { pretty: boolean; level?: string },
  destination?: DestinationStream,
): Logger {
  const settings: LoggerOptions = {
    level: options.level ?? "info",
    formatters: { log: (fields) => redact(fields) },
    serializers: { error: describeError, err: describeError },
    ...(options.pretty
      ? {
          transport: {
            target: "pino-pretty",
            options: { translateTime: "HH:MM:ss.l", ignore: "pid,hostname" },
          },
        }
      : {}),
  };
  if (destination) return pino(settings, destination);
  return options.pretty ? pino(settings) : pino(settings, bufferedStdout());
}

function bufferedStdout(): DestinationStream {
  const stdout = pino.destination({ sync: true, minLength: BUFFER, periodicFlush: FLUSH_INTERVAL });
  process.on("exit", () => {
    try {
      stdout.flushSync();
    } catch {
      // Nobody reads any more.
    }
  });
  return stdout;
}

/** PostgreSQL quotes values of the row in `detail`, and those of parameters in `where`. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error))
    return typeof error === "object" && error ? redact({ ...error }) : error;
  const { detail, where, ...described } = pino.stdSerializers.errWithCause(error) as Record<
    string,
    unknown
  >;
  const { cause } = error;
  return redact({
    ...described,
    ...(cause instanceof Error ? { cause: describeError(cause) } : {}),
  });
}
