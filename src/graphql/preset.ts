import "postgraphile";
import { PgSimplifyInflectionPreset } from "@graphile/simplify-inflection";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { PostGraphileConnectionFilterPreset } from "postgraphile-plugin-connection-filter";
import type { AccessTokens } from "../auth/access-tokens.ts";
import type { Accounts } from "../auth/accounts.ts";
import type { Credentials } from "../auth/credentials.ts";
import type { SignIn } from "../auth/sign-in.ts";
import { createWithPgClient } from "../database/adaptor.ts";
import { AccountsPlugin } from "./accounts-plugin.ts";
import { createConstraintMessages } from "./constraint-messages.ts";
import { CredentialsPlugin } from "./credentials-plugin.ts";
import { createErrorMask } from "./errors.ts";
import { ExposurePlugin, LEFT_OUT } from "./exposure-plugin.ts";
import { InboxPlugin } from "./inbox-plugin.ts";
import type { LiveEvents } from "./live-events.ts";
import { createLiveTables } from "./live-tables.ts";
import { LiveTablesPlugin } from "./live-tables-plugin.ts";
import { NamingPlugin } from "./naming-plugin.ts";
import { NotFoundPlugin } from "./not-found-plugin.ts";
import { PageSizePlugin } from "./page-size-plugin.ts";
import { PushActivityPlugin } from "./push-activity-plugin.ts";
import { createRequestContext } from "./request-context.ts";
import { createRequestPlugin } from "./request-plugin.ts";
import { createResponsePlugin } from "./response-plugin.ts";
import { SendNotificationPlugin } from "./send-notification-plugin.ts";
import { SignInPlugin } from "./sign-in-plugin.ts";
import { UpdateMePlugin } from "./update-me-plugin.ts";

export interface PresetOptions {
  pool: Pool;
  accessTokens: AccessTokens;
  accounts: Accounts;
  credentials: Credentials;
  signIn: SignIn;
  rateLimitFactor: number;
  trustProxy: number;
  liveEvents: LiveEvents;
  logger: Logger;
  graphiql: boolean;
  /** Set: the schema follows the database (development). Needs a superuser, for event triggers. */
  watch?: { superuserUrl: string };
}

/** Longest request body, bytes. */
export const MAX_REQUEST_LENGTH = 100_000;

/** Milliseconds for an operation that passed the limits; more is TOO_COMPLEX. */
const PLANNING_TIMEOUT = 1000;
const EXECUTION_TIMEOUT = 30_000;

/** PostGraphile as Howdah serves it: what is exposed is decided in SQL, how it looks is decided here. */
export function createPreset(options: PresetOptions): GraphileConfig.Preset {
  const { pool, watch } = options;
  const verified = new WeakSet<object>();
  const constraints = createConstraintMessages(pool);
  const service = makePgService({
    pool,
    schemas: ["app_public"],
    // Ours are live-events.ts; PostGraphile's own hears of changes of the schema.
    pubsub: Boolean(watch),
    ...(watch ? { superuserConnectionString: watch.superuserUrl } : {}),
  });
  const withPgClient = createWithPgClient(pool, verified);
  const { adaptor } = service;
  service.adaptor = {
    ...adaptor,
    createWithPgClient: (settings, variant) =>
      variant === "SUPERUSER" && watch
        ? adaptor.createWithPgClient(settings, variant)
        : withPgClient,
  };
  return {
    extends: [
      PostGraphileAmberPreset,
      PgSimplifyInflectionPreset,
      PostGraphileConnectionFilterPreset,
    ],
    plugins: [
      NamingPlugin,
      ExposurePlugin,
      PageSizePlugin,
      NotFoundPlugin,
      AccountsPlugin,
      CredentialsPlugin,
      SignInPlugin,
      SendNotificationPlugin,
      UpdateMePlugin,
      InboxPlugin,
      PushActivityPlugin,
      LiveTablesPlugin,
      constraints.plugin,
      createRequestPlugin(),
      createResponsePlugin({ pool, verified, suggestions: options.graphiql }),
    ],
    disablePlugins: LEFT_OUT,
    pgServices: [service],
    gather: { installWatchFixtures: Boolean(watch) },
    schema: {
      dontSwallowErrors: true,
      pgSimplifyPatch: true,
      defaultBehavior:
        "connection -list -resource:list -query:resource:list -nodeId:resource:update -nodeId:resource:delete",
      connectionFilterComputedColumns: false,
      // What says nothing filters nothing: clients build filters from what their user has filled in.
      connectionFilterAllowNullInput: true,
      connectionFilterAllowEmptyObjectInput: true,
    },
    grafast: {
      // Beyond the limits on what may be asked; the database has its own (roles.sql).
      timeouts: { planning: PLANNING_TIMEOUT, execution: EXECUTION_TIMEOUT },
      context: createRequestContext({
        ...options,
        liveTables: createLiveTables(options),
        verified,
      }),
    },
    grafserv: {
      graphqlPath: "/graphql",
      graphiql: options.graphiql,
      graphiqlPath: "/graphiql",
      graphiqlOnGraphQLGET: false,
      maxRequestLength: MAX_REQUEST_LENGTH,
      websockets: true,
      watch: Boolean(watch),
      maskError: createErrorMask({ constraintMessage: constraints.find, logger: options.logger }),
    },
  };
}
