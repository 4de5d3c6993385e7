import type { Pool } from "pg";
import type { Logger } from "pino";
import type { AccessTokens } from "../auth/access-tokens.ts";
import type { Accounts } from "../auth/accounts.ts";
import type { Credentials } from "../auth/credentials.ts";
import type { SignIn } from "../auth/sign-in.ts";
import type { Config } from "../config.ts";
import { createWithPgClient } from "../database/adaptor.ts";
import type { Replica } from "../database/replica.ts";
import type { Tracing } from "../tracing.ts";
import { createConstraintMessages } from "./constraint-messages.ts";
import { createErrorMask } from "./errors.ts";
import type { LiveEvents } from "./live-events.ts";
import { createLiveTables } from "./live-tables.ts";
import { createOwnWritesPlugin } from "./own-writes-plugin.ts";
import {
  NoPersistedOperationsPlugin,
  persistedOperationsPreset,
  readPersistedOperations,
} from "./persisted-operations.ts";
import { createPlanMemoryPlugin } from "./plan-memory-plugin.ts";
import { createRequestContext } from "./request-context.ts";
import { createRequestPlugin } from "./request-plugin.ts";
import { createResponsePlugin } from "./response-plugin.ts";
import { createService, SCHEMA_PRESET } from "./schema-preset.ts";

export interface PresetOptions {
  pool: Pool;
  /** Where reads may go. */
  replica: Replica | undefined;
  /** Of requests, where it is on. */
  tracing: Tracing | undefined;
  accessTokens: AccessTokens;
  accounts: Accounts;
  credentials: Credentials;
  signIn: SignIn;
  rateLimitFactor: number;
  trustProxy: number;
  liveEvents: LiveEvents;
  logger: Logger;
  graphiql: boolean;
  persistedOperations: Config["persistedOperations"];
  /** Milliseconds; tests have shorter ones. */
  timeouts?: { planning?: number; execution?: number } | undefined;
  /** Steps of plans that are kept; a test has fewer than the heap allows. */
  keptSteps?: number | undefined;
}

/** Documents that are kept as they were parsed; the largest take a third of a megabyte each. */
const PARSED_DOCUMENTS = 300;

/** Longest request body, bytes. */
export const MAX_REQUEST_LENGTH = 100_000;

/**
 * Milliseconds of the clock for an operation that passed the limits; more is TOO_COMPLEX. What the limits let through is
 * planned in a fraction of that: a machine that stands still for a second is no reason to refuse it.
 */
const PLANNING_TIMEOUT = 5000;
const EXECUTION_TIMEOUT = 30_000;

/** PostGraphile as Howdah serves it: the schema, and what becomes of a request. */
export function createPreset(options: PresetOptions): GraphileConfig.Preset {
  const { pool, replica, persistedOperations: persisted } = options;
  const verified = new WeakSet<object>();
  const constraints = createConstraintMessages(pool);
  // Beyond the limits on what may be asked; the database has its own (roles.sql).
  const timeouts = {
    planning: options.timeouts?.planning ?? PLANNING_TIMEOUT,
    execution: options.timeouts?.execution ?? EXECUTION_TIMEOUT,
  };
  return {
    extends: [
      SCHEMA_PRESET,
      persisted
        ? persistedOperationsPreset(
            readPersistedOperations(persisted.file),
            persisted.only,
            options.logger,
          )
        : { plugins: [NoPersistedOperationsPlugin] },
    ],
    plugins: [
      constraints.plugin,
      createRequestPlugin(),
      createPlanMemoryPlugin(options.keptSteps),
      ...(replica ? [createOwnWritesPlugin(options)] : []),
      createResponsePlugin({
        pool,
        verified,
        suggestions: options.graphiql,
        longest: MAX_REQUEST_LENGTH,
      }),
    ],
    pgServices: [createService(pool)],
    // It would wrap each statement, and keep a timer of five seconds for each, with all that the request holds.
    disablePlugins: ["PgContextPlugin"],
    grafast: {
      timeouts,
      context: createRequestContext({
        ...options,
        liveTables: createLiveTables(options),
        withPgClient: createWithPgClient(pool, verified, replica),
        verified,
      }),
    },
    grafserv: {
      graphqlPath: "/graphql",
      graphiql: options.graphiql,
      graphiqlPath: "/graphiql",
      graphiqlOnGraphQLGET: false,
      maxRequestLength: MAX_REQUEST_LENGTH,
      allowedRequestContentTypes: ["application/json"],
      parseAndValidateCacheSize: PARSED_DOCUMENTS,
      websockets: true,
      maskError: createErrorMask({
        constraintMessage: constraints.find,
        logger: options.logger,
        suggestions: options.graphiql,
        timeouts,
      }),
    },
  };
}
