import { resolve } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

// As boot.cjs says to the processes of ours: the files of the suite load much the same packages.
process.env.NODE_COMPILE_CACHE ??= resolve("node_modules/.cache/howdah");

/** Those that replace a module, or a part of one, for themselves. */
const MOCKING = ["test/database/embedded-faults.test.ts", "test/api/young-middleware.test.ts"];

/** Those of more than half a minute, so that none of them is the last. */
const LONG =
  /db-commands|import\/import|api-group|embedded-faults|large-answers|keyboard|weight|console\/(pages|walk|trust)|processes\/(dev|start|database-first-page)|scripts\/new|killed-workers|random-operations|rolling-restart|restarted-postgres|stopped-postgres|wrong-clock/;

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { long = [], other = [] } = Object.groupBy(await super.sort(files), ({ moduleId }) =>
      LONG.test(moduleId) ? "long" : "other",
    );
    return [...long, ...other];
  }
}

export default defineConfig({
  resolve: {
    // The one instance that PostGraphile has: Vite would take the package's other build.
    alias: [{ find: /^graphql$/, replacement: resolve("node_modules/graphql/index.js") }],
  },
  test: {
    globalSetup: ["test/support/global-setup.ts"],
    reporters: ["default", "./test/support/summary-reporter.ts"],
    pool: "forks",
    // As the processes run (boot.cjs): PostGraphile's development mode is slower, and prints what clients do wrong.
    env: { GRAPHILE_ENV: "production", GRAFAST_TIMEOUT_VALIDITY_MS: "1000" },
    // Four keep two cores busy: much of it is waiting. Each file has a database of its own; the modules
    // are loaded once for all files of a worker, which spares two seconds of each.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: "shared",
          include: ["test/**/*.test.ts"],
          exclude: MOCKING,
          isolate: false,
        },
      },
      { extends: true, test: { name: "isolated", include: MOCKING } },
    ],
    // A bound for what hangs, not for what is slow: speed is measured in bench/.
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
