import { createRequire } from "node:module";
import type * as GraphileMigrate from "graphile-migrate";
import { withoutComments } from "./statements.ts";

/*
 * graphile-migrate, which asks pg-minify whether current.sql is empty, or as it was. pg-minify knows
 * no dollar quotes and no backslash that is none: it refuses $$it's$$ and 'C:\', and does not see a
 * change of blanks within $$…$$. So something else answers.
 */
const require = createRequire(import.meta.url);
const minifier = createRequire(require.resolve("graphile-migrate")).resolve("pg-minify");
require(minifier);
(require.cache[minifier] as NodeJS.Module).exports = withoutComments;

export const { commit, Logger, migrate, run, uncommit, watch } =
  require("graphile-migrate") as typeof GraphileMigrate;
export const { clearAllPools } =
  require("graphile-migrate/dist/pgReal.js") as typeof import("graphile-migrate/dist/pgReal.js");
