import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

// As boot.cjs says to the processes of ours: the files of the suite load much the same packages.
process.env.NODE_COMPILE_CACHE ??= resolve("node_modules/.cache/howdah");

export default defineConfig({
  resolve: {
    // The one instance that PostGraphile has: Vite would take the package's other build.
    alias: [{ find: /^graphql$/, replacement: resolve("node_modules/graphql/index.js") }],
  },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    reporters: ["default", "./test/support/summary-reporter.ts"],
    // Two cores: one file a worker, the database of each its own.
    pool: "forks",
    // As the processes run (boot.cjs): PostGraphile's development mode is slower, and prints what clients do wrong.
    env: { GRAPHILE_ENV: "production" },
    maxWorkers: 2,
    // A bound for what hangs, not for what is slow: speed is measured in bench/.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
