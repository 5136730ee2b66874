// @ts-check
/**
 * Vitest reporter that counts what really happened and hands it to `scripts/test.mjs`.
 *
 * A test file that could not be loaded, a hook that threw outside a test and an error that nobody caught count
 * as one failure each, so that "0 failed" means that nothing went wrong. The counts go to the file that
 * SESSIONDIR_TEST_COUNTS names; without it the line is printed.
 */
import { writeFileSync } from "node:fs";

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/** @param {Counts} counts */
export function summaryLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/**
 * @param {ReadonlyArray<import("vitest/node").TestModule>} modules
 * @param {ReadonlyArray<unknown>} unhandledErrors
 * @returns {Counts}
 */
export function countResults(modules, unhandledErrors) {
  const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
  for (const module of modules) {
    counts.failed += module.errors().length;
    for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === "passed" || state === "skipped") counts[state] += 1;
      // "pending" at the end of a run: the worker died before it could tell.
      else counts.failed += 1;
    }
  }
  return counts;
}

export default class TestSummaryReporter {
  /**
   * @param {ReadonlyArray<import("vitest/node").TestModule>} modules
   * @param {ReadonlyArray<unknown>} unhandledErrors
   */
  onTestRunEnd(modules, unhandledErrors) {
    const counts = countResults(modules, unhandledErrors);
    const file = process.env.SESSIONDIR_TEST_COUNTS;
    if (file === undefined) console.log(summaryLine(counts));
    else writeFileSync(file, JSON.stringify(counts));
  }
}
