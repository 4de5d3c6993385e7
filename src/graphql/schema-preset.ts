import "postgraphile";
import { PgSimplifyInflectionPreset } from "@graphile/simplify-inflection";
import type { Pool } from "pg";
import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { PostGraphileConnectionFilterPreset } from "postgraphile-plugin-connection-filter";
import { AccountsPlugin } from "./accounts-plugin.ts";
import { CitextFilterPlugin } from "./citext-filter-plugin.ts";
import { CredentialsPlugin } from "./credentials-plugin.ts";
import { DescriptionsPlugin } from "./descriptions-plugin.ts";
import { ExposurePlugin, LEFT_OUT } from "./exposure-plugin.ts";
import { FunctionOrderPlugin } from "./function-order-plugin.ts";
import { InboxPlugin } from "./inbox-plugin.ts";
import { JsonLiteralPlugin } from "./json-literal-plugin.ts";
import { LiveTablesPlugin } from "./live-tables-plugin.ts";
import { MePlugin } from "./me-plugin.ts";
import { NamingPlugin } from "./naming-plugin.ts";
import { NodeIdPlugin } from "./node-id-plugin.ts";
import { NotFoundPlugin } from "./not-found-plugin.ts";
import { PageSizePlugin } from "./page-size-plugin.ts";
import { PushActivityPlugin } from "./push-activity-plugin.ts";
import { QuietHoursPlugin } from "./quiet-hours-plugin.ts";
import { SendNotificationPlugin } from "./send-notification-plugin.ts";
import { SignInPlugin } from "./sign-in-plugin.ts";
import { UpdateMePlugin } from "./update-me-plugin.ts";

/** All that shapes the schema: what is exposed is decided in SQL, how it looks is decided here. */
export const SCHEMA_PRESET: GraphileConfig.Preset = {
  extends: [
    PostGraphileAmberPreset,
    PgSimplifyInflectionPreset,
    PostGraphileConnectionFilterPreset,
  ],
  plugins: [
    NamingPlugin,
    ExposurePlugin,
    PageSizePlugin,
    FunctionOrderPlugin,
    CitextFilterPlugin,
    JsonLiteralPlugin,
    NodeIdPlugin,
    NotFoundPlugin,
    AccountsPlugin,
    CredentialsPlugin,
    SignInPlugin,
    QuietHoursPlugin,
    SendNotificationPlugin,
    MePlugin,
    UpdateMePlugin,
    InboxPlugin,
    PushActivityPlugin,
    LiveTablesPlugin,
    DescriptionsPlugin,
  ],
  disablePlugins: LEFT_OUT,
  // An argument of a function is required, unless it has a default.
  gather: { installWatchFixtures: false, pgStrictFunctions: true },
  schema: {
    dontSwallowErrors: true,
    pgSimplifyPatch: true,
    defaultBehavior:
      "connection -list -resource:list -query:resource:list -nodeId:resource:update -nodeId:resource:delete",
    connectionFilterComputedColumns: false,
    // What says nothing filters nothing, and null is no way to say it: it is a mistake of the client's, which
    // would get all rows where it wants few (isNull asks for rows without a value).
    connectionFilterAllowNullInput: false,
    connectionFilterAllowEmptyObjectInput: true,
  },
};

/** The database behind the schema; the pool's role decides what is in it. */
export function createService(pool: Pool): GraphileConfig.PgServiceConfiguration {
  // Live events are live-events.ts, not PostGraphile's.
  return makePgService({ pool, schemas: ["app_public"], pubsub: false });
}
