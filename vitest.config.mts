import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

// As boot.cjs says to the processes of ours: the files of the suite load much the same packages.
process.env.NODE_COMPILE_CACHE ??= resolve("node_modules/.cache/howdah");

/** Those that replace a module for themselves. */
const MOCKING = ["test/database/embedded-faults.test.ts"];

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
    env: { GRAPHILE_ENV: "production" },
    // Two cores. Each file has a database of its own; the modules are loaded once for all files of a worker,
    // which spares two seconds of each.
    maxWorkers: 2,
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
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
