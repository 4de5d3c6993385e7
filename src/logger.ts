import { type DestinationStream, type Logger, type LoggerOptions, pino } from "pino";

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
    redact: {
      paths: [
        "*.authorization",
        "*.cookie",
        "*.password",
        "*.token",
        "*.refreshToken",
        "req.headers",
      ],
      censor: "[redacted]",
    },
    serializers: { error: pino.stdSerializers.errWithCause, err: pino.stdSerializers.errWithCause },
    ...(options.pretty
      ? {
          transport: {
            target: "pino-pretty",
            options: { translateTime: "HH:MM:ss.l", ignore: "pid,hostname" },
          },
        }
      : {}),
  };
  return destination ? pino(settings, destination) : pino(settings);
}
