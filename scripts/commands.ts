import type { Command } from "./command.ts";
import { credentialsRotate } from "./commands/credentials-rotate.ts";
import { deliveries } from "./commands/deliveries.ts";
import { importFastapi } from "./commands/import-fastapi.ts";
import { jobs, retry } from "./commands/jobs.ts";
import { cancel, notify } from "./commands/notify.ts";
import { operatorGrant, operatorRevoke } from "./commands/operators.ts";
import { breakerDecide, pause, pauseLift, pauses } from "./commands/pauses.ts";
import { sessionRevoke, userDisable, userEnable, userShow } from "./commands/users.ts";

/** `npm run howdah -- NAME`. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  deliveries,
  notify,
  cancel,
  pauses,
  pause,
  "pause:lift": pauseLift,
  "breaker:decide": breakerDecide,
  jobs,
  retry,
  "user:show": userShow,
  "user:disable": userDisable,
  "user:enable": userEnable,
  "session:revoke": sessionRevoke,
  "operator:grant": operatorGrant,
  "operator:revoke": operatorRevoke,
  "credentials:rotate": credentialsRotate,
  "import:fastapi": importFastapi,
};
