import type { Reporter, TestModule, Vitest } from "vitest/node";

/**
 * The last line of the suite, from the runner's own report: `N passed, N failed`. What was skipped is
 * named before it; in CI, where nothing may be, it has failed.
 */
export default class SummaryReporter implements Reporter {
  /** Some tests alone were asked for (-t): the others are no surprise. */
  private isFiltered = false;

  onInit(vitest: Vitest): void {
    this.isFiltered = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    let passed = 0;
    // What failed outside of a test (a file that does not load, an unhandled rejection) failed too.
    let failed = errors.length;
    const skipped: string[] = [];
    for (const module of modules) {
      failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed += 1;
        if (state === "failed") failed += 1;
        if (state === "skipped" && !this.isFiltered) {
          skipped.push(`${module.relativeModuleId}: ${test.fullName}`);
        }
      }
    }
    for (const name of skipped) console.log(`skipped ${name}`);
    if (process.env.CI && skipped.length > 0) {
      failed += skipped.length;
      process.exitCode = 1;
    }
    console.log(`${passed} passed, ${failed} failed`);
  }
}
