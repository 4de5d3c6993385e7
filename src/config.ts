import { resolve } from "node:path";
import { z } from "zod";
import {
  httpUrl,
  isKey,
  list,
  origins,
  pem,
  port,
  postgresUrl,
  providerUrl,
  publicKeys,
  redirects,
} from "./config-values.ts";

/**
 * The settings of a process, parsed. The environment is read here and nowhere else; names, defaults
 * and meanings are in docs/operating.md.
 */
export interface Config {
  production: boolean;
  api: {
    host: string;
    port: number;
    opsPort: number;
    trustProxy: number | false;
    /** That share the port. */
    processes: number;
  };
  worker: { host: string; opsPort: number };
  publicUrl: string;
  /** False where it is what development has. */
  hasPublicUrl: boolean;
  allowedOrigins: string[];
  graphiql: boolean;
  /** A file of operations by id; `only`: no others are taken. */
  persistedOperations: { file: string; only: boolean } | undefined;
  /** Absolute path: embedded cluster, generated keys, captured mail and SMS. */
  dataDirectory: string;
  /** Owner connection; undefined stands for the embedded cluster. */
  databaseUrl: string | undefined;
  authenticatorDatabaseUrl: string | undefined;
  listenDatabaseUrl: string | undefined;
  /** A replica, for queries that may be shown what is a moment old. */
  readDatabaseUrl: string | undefined;
  /** For db:commit and db:reset, where they cannot be derived: a database to try in, and the server's own. */
  shadowDatabaseUrl: string | undefined;
  rootDatabaseUrl: string | undefined;
  /** PEM of an EC P-256 key; undefined: generated in the data directory. */
  jwtPrivateKey: string | undefined;
  jwtPreviousPublicKeys: string | undefined;
  jwtIssuer: string;
  jwtAudience: string;
  /** 32 bytes, base64: encrypts provider tokens, keys the HMAC of codes. Undefined: generated. */
  credentialsKey: string | undefined;
  /** Older ones, newest first: what they encrypted can still be read. */
  credentialsPreviousKeys: string[];
  /** Exact return URLs after sign-in with a provider. */
  allowedRedirects: string[];
  /** A provider is on where it is here. */
  providers: { [name in ProviderName]?: ProviderConfig };
  /** No tokens at sign-up before an address is verified, and no telling whether it was taken. */
  signUpConfirmation: boolean;
  /** Multiplies every limit on attempts. */
  rateLimitFactor: number;
  /** `host:port` of an FCM emulator. */
  fcmEmulatorHost: string | undefined;
  /** Where our own emulator listens. */
  fcmEmulatorPort: number;
  /** Path of a service-account JSON, or undefined. */
  firebaseServiceAccount: string | undefined;
  smtpUrl: string | undefined;
  mailFrom: string;
  smsWebhook: { url: string; secret: string } | undefined;
  /** Drain deadline, seconds. */
  shutdownSeconds: number;
  /** Where traces go (OTLP over HTTP), and which part of those that begin here. */
  tracing: { endpoint: string; ratio: number } | undefined;
  /** Of these, seconds for which the API goes on letting clients in. */
  drainSeconds: number;
  /** The least that is logged. */
  logLevel: "debug" | "info" | "warn" | "error";
}

/** Who may vouch for a user: the enum oauth2_provider of the schema. */
export const PROVIDER_NAMES = ["google", "github", "facebook"] as const;
export type ProviderName = (typeof PROVIDER_NAMES)[number];

export interface ProviderConfig {
  clientId: string;
  clientSecret: string;
  /** Issuer (Google), or where people log in. */
  baseUrl: string;
  /** Where the API is asked; Google says so itself. */
  apiUrl: string;
}

/** What a process needs of the settings: in production each insists on its own. */
export type ProcessName = "start" | "api" | "worker" | "migrate" | "fcm-emulator" | "howdah";

/** Every fault of the settings at once, by variable name; no value is ever part of it. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** Parses the environment. @throws {ConfigError} that lists every fault. */
export function loadConfig(processName: ProcessName, environment: NodeJS.ProcessEnv): Config {
  // Compose files and shells pass variables on that are set to nothing: that is unset.
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const parsed = variables.safeParse(given);
  const faults = parsed.success
    ? productionFaults(processName, parsed.data)
    : faultsOf(processName, given, parsed.error);
  if (!parsed.success || faults.length > 0) {
    throw new ConfigError(`These settings are wrong:\n${faults.map((f) => `  ${f}`).join("\n")}`);
  }
  return toConfig(parsed.data);
}

/** Those of single values, and those of the rest together: whoever mends them mends all at once. */
function faultsOf(
  processName: ProcessName,
  given: NodeJS.ProcessEnv,
  { issues }: z.ZodError,
): string[] {
  const faults = issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  const wrong = new Set(issues.map(({ path }) => path[0]));
  const rest = variables.safeParse(
    Object.fromEntries(Object.entries(given).filter(([name]) => !wrong.has(name))),
  );
  const others = rest.success ? productionFaults(processName, rest.data) : [];
  // What is given, and wrong, is not missing.
  return faults.concat(others.filter((fault) => !wrong.has(fault.slice(0, fault.indexOf(":")))));
}

const variables = z.object({
  NODE_ENV: z
    .enum(["development", "production", "test"], "must be development, production or test")
    .default("development"),
  HOST: z.string().default("127.0.0.1"),
  PORT: port(5678),
  OPS_PORT: port(5679),
  API_PROCESSES: z.coerce.number().int().min(1).max(64).default(1),
  WORKER_OPS_PORT: port(5680),
  DATABASE_URL: postgresUrl,
  AUTHENTICATOR_DATABASE_URL: postgresUrl,
  LISTEN_DATABASE_URL: postgresUrl,
  READ_DATABASE_URL: postgresUrl,
  SHADOW_DATABASE_URL: postgresUrl,
  ROOT_DATABASE_URL: postgresUrl,
  DATA_DIR: z.string().default(".data"),
  JWT_PRIVATE_KEY: pem,
  JWT_PREVIOUS_PUBLIC_KEYS: publicKeys,
  JWT_ISSUER: z.string().optional(),
  JWT_AUDIENCE: z.string().default("howdah"),
  PUBLIC_URL: httpUrl.optional(),
  ALLOWED_ORIGINS: origins,
  TRUST_PROXY: z.coerce
    .number("must be a number of hops")
    .int("must be a number of hops")
    .min(0, "must be a number of hops")
    .max(10, "must be a number of hops, at most 10")
    .optional(),
  SMTP_URL: z
    .string()
    .regex(/^smtps?:\/\//, "must be a URL like smtps://user:password@host")
    .optional(),
  MAIL_FROM: z.string().default("Howdah <no-reply@localhost>"),
  SMS_WEBHOOK_URL: httpUrl.optional(),
  SMS_WEBHOOK_SECRET: z.string().min(16, "must have at least 16 characters").optional(),
  FIREBASE_SERVICE_ACCOUNT: z.string().optional(),
  GOOGLE_APPLICATION_CREDENTIALS: z.string().optional(),
  FCM_EMULATOR_HOST: z
    .string()
    .regex(/^[^:/]+:\d{1,5}$/, "must be host:port")
    .optional(),
  FCM_EMULATOR_PORT: port(5681),
  GRAPHIQL: z.enum(["on", "off"], "must be on or off").optional(),
  PERSISTED_OPERATIONS: z.string().optional(),
  PERSISTED_OPERATIONS_ONLY: z.enum(["on", "off"], "must be on or off").default("off"),
  CREDENTIALS_KEY: z
    .string()
    .refine(isKey, "must be 32 bytes in base64, as of `openssl rand -base64 32`")
    .optional(),
  CREDENTIALS_PREVIOUS_KEYS: list.refine(
    (values) => values.every(isKey),
    "must be keys of 32 bytes in base64, separated by commas",
  ),
  ALLOWED_REDIRECTS: redirects,
  GOOGLE_CLIENT_ID: z.string().optional(),
  GOOGLE_CLIENT_SECRET: z.string().optional(),
  GOOGLE_ISSUER_URL: providerUrl("https://accounts.google.com"),
  GITHUB_CLIENT_ID: z.string().optional(),
  GITHUB_CLIENT_SECRET: z.string().optional(),
  GITHUB_BASE_URL: providerUrl("https://github.com"),
  GITHUB_API_URL: providerUrl("https://api.github.com"),
  FACEBOOK_CLIENT_ID: z.string().optional(),
  FACEBOOK_CLIENT_SECRET: z.string().optional(),
  FACEBOOK_BASE_URL: providerUrl("https://www.facebook.com/v24.0"),
  FACEBOOK_GRAPH_URL: providerUrl("https://graph.facebook.com/v24.0"),
  SIGN_UP_CONFIRMATION: z.enum(["off", "required"], "must be off or required").default("off"),
  RATE_LIMIT_FACTOR: z.coerce
    .number("must be a number")
    .positive("must be more than 0")
    .max(1_000_000, "must be at most 1000000")
    .default(1),
  LOG_LEVEL: z
    .enum(["debug", "info", "warn", "error"], "must be debug, info, warn or error")
    .default("info"),
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl.optional(),
  OTEL_TRACES_SAMPLER_ARG: z.coerce
    .number("must be a number from 0 to 1")
    .min(0, "must be a number from 0 to 1")
    .max(1, "must be a number from 0 to 1")
    .default(1),
  SHUTDOWN_SECONDS: z.coerce
    .number("must be a number of seconds")
    .min(0, "must be a number of seconds")
    .max(3600, "must be at most 3600 seconds")
    .default(10),
  DRAIN_SECONDS: z.coerce
    .number("must be a number of seconds")
    .min(0, "must be a number of seconds")
    .default(0),
});

type Variables = z.infer<typeof variables>;

const PROVIDER_URLS = [
  "GOOGLE_ISSUER_URL",
  "GITHUB_BASE_URL",
  "GITHUB_API_URL",
  "FACEBOOK_BASE_URL",
  "FACEBOOK_GRAPH_URL",
] as const;

/** What development generates or does without, and production must be given. */
function productionFaults(processName: ProcessName, v: Variables): string[] {
  const faults: string[] = [];
  if (Boolean(v.SMS_WEBHOOK_URL) !== Boolean(v.SMS_WEBHOOK_SECRET)) {
    faults.push("SMS_WEBHOOK_URL, SMS_WEBHOOK_SECRET: set both or neither");
  }
  for (const name of ["GOOGLE", "GITHUB", "FACEBOOK"] as const) {
    if (Boolean(v[`${name}_CLIENT_ID`]) !== Boolean(v[`${name}_CLIENT_SECRET`])) {
      faults.push(`${name}_CLIENT_ID, ${name}_CLIENT_SECRET: set both or neither`);
    }
  }
  if (v.PERSISTED_OPERATIONS_ONLY === "on" && !v.PERSISTED_OPERATIONS) {
    faults.push("PERSISTED_OPERATIONS: must be set where PERSISTED_OPERATIONS_ONLY is on");
  }
  if (v.DRAIN_SECONDS > 0 && v.DRAIN_SECONDS + 2 > v.SHUTDOWN_SECONDS) {
    faults.push("DRAIN_SECONDS: must be at least 2 less than SHUTDOWN_SECONDS");
  }
  if (v.NODE_ENV !== "production") return faults;
  const need = (name: keyof Variables, why: string) => {
    if (v[name] === undefined) faults.push(`${name}: must be set in production (${why})`);
  };
  if (processName === "start") {
    faults.push(
      "NODE_ENV: `npm start` is for one machine; run api, worker and migrate in production",
    );
    return faults;
  }
  if (processName === "fcm-emulator") return faults;
  if (processName !== "api") need("DATABASE_URL", "the owner's connection");
  if (v.RATE_LIMIT_FACTOR > 10) {
    faults.push("RATE_LIMIT_FACTOR: must be at most 10 in production");
  }
  if (processName === "api" || processName === "worker") {
    need("CREDENTIALS_KEY", "the same for API and worker");
  }
  for (const name of PROVIDER_URLS) {
    if (!v[name].startsWith("https:")) faults.push(`${name}: must be https in production`);
  }
  if (processName === "api") {
    need("AUTHENTICATOR_DATABASE_URL", "the API's connection, role howdah_authenticator");
    need("JWT_PRIVATE_KEY", "signs access tokens; generated ones are for development");
  }
  if (
    processName === "worker" &&
    !v.FIREBASE_SERVICE_ACCOUNT &&
    !v.GOOGLE_APPLICATION_CREDENTIALS &&
    !v.FCM_EMULATOR_HOST
  ) {
    faults.push(
      "FIREBASE_SERVICE_ACCOUNT: must be set in production (or GOOGLE_APPLICATION_CREDENTIALS, or FCM_EMULATOR_HOST)",
    );
  }
  return faults;
}

function toConfig(v: Variables): Config {
  const production = v.NODE_ENV === "production";
  const publicUrl = (v.PUBLIC_URL ?? `http://localhost:${v.PORT || 5678}`).replace(/\/$/, "");
  const only = v.PERSISTED_OPERATIONS_ONLY === "on";
  return {
    production,
    api: {
      host: v.HOST,
      port: v.PORT,
      opsPort: v.OPS_PORT,
      trustProxy: v.TRUST_PROXY || false,
      processes: v.API_PROCESSES,
    },
    worker: { host: v.HOST, opsPort: v.WORKER_OPS_PORT },
    publicUrl,
    hasPublicUrl: v.PUBLIC_URL !== undefined,
    allowedOrigins: v.ALLOWED_ORIGINS,
    // All that it asks would be refused.
    graphiql: !only && (v.GRAPHIQL ? v.GRAPHIQL === "on" : !production),
    persistedOperations: v.PERSISTED_OPERATIONS
      ? { file: resolve(v.PERSISTED_OPERATIONS), only }
      : undefined,
    dataDirectory: resolve(v.DATA_DIR),
    databaseUrl: v.DATABASE_URL,
    authenticatorDatabaseUrl: v.AUTHENTICATOR_DATABASE_URL,
    listenDatabaseUrl: v.LISTEN_DATABASE_URL,
    readDatabaseUrl: v.READ_DATABASE_URL,
    shadowDatabaseUrl: v.SHADOW_DATABASE_URL,
    rootDatabaseUrl: v.ROOT_DATABASE_URL,
    jwtPrivateKey: v.JWT_PRIVATE_KEY,
    jwtPreviousPublicKeys: v.JWT_PREVIOUS_PUBLIC_KEYS,
    jwtIssuer: v.JWT_ISSUER ?? publicUrl,
    jwtAudience: v.JWT_AUDIENCE,
    credentialsKey: v.CREDENTIALS_KEY,
    credentialsPreviousKeys: v.CREDENTIALS_PREVIOUS_KEYS,
    allowedRedirects: v.ALLOWED_REDIRECTS,
    providers: toProviders(v),
    signUpConfirmation: v.SIGN_UP_CONFIRMATION === "required",
    rateLimitFactor: v.RATE_LIMIT_FACTOR,
    fcmEmulatorHost: v.FCM_EMULATOR_HOST,
    fcmEmulatorPort: v.FCM_EMULATOR_PORT,
    firebaseServiceAccount: v.FIREBASE_SERVICE_ACCOUNT ?? v.GOOGLE_APPLICATION_CREDENTIALS,
    smtpUrl: v.SMTP_URL,
    mailFrom: v.MAIL_FROM,
    smsWebhook:
      v.SMS_WEBHOOK_URL && v.SMS_WEBHOOK_SECRET
        ? { url: v.SMS_WEBHOOK_URL, secret: v.SMS_WEBHOOK_SECRET }
        : undefined,
    shutdownSeconds: v.SHUTDOWN_SECONDS,
    tracing: v.OTEL_EXPORTER_OTLP_ENDPOINT
      ? { endpoint: v.OTEL_EXPORTER_OTLP_ENDPOINT, ratio: v.OTEL_TRACES_SAMPLER_ARG }
      : undefined,
    drainSeconds: v.DRAIN_SECONDS,
    logLevel: v.LOG_LEVEL,
  };
}

function toProviders(v: Variables): Config["providers"] {
  const all = {
    google: [v.GOOGLE_CLIENT_ID, v.GOOGLE_CLIENT_SECRET, v.GOOGLE_ISSUER_URL, v.GOOGLE_ISSUER_URL],
    github: [v.GITHUB_CLIENT_ID, v.GITHUB_CLIENT_SECRET, v.GITHUB_BASE_URL, v.GITHUB_API_URL],
    facebook: [
      v.FACEBOOK_CLIENT_ID,
      v.FACEBOOK_CLIENT_SECRET,
      v.FACEBOOK_BASE_URL,
      v.FACEBOOK_GRAPH_URL,
    ],
  } as const;
  const providers: Config["providers"] = {};
  for (const name of PROVIDER_NAMES) {
    const [clientId, clientSecret, baseUrl, apiUrl] = all[name];
    if (clientId && clientSecret) providers[name] = { clientId, clientSecret, baseUrl, apiUrl };
  }
  return providers;
}
