// @ts-check
/** How the suites of one mutant run: one file after the other, in the order given, until the first failure. */
import { resolve } from "node:path";
import { BaseSequencer } from "vitest/node";
import { defineConfig } from "vitest/config";

const suites = (process.env["SESSIONDIR_MUTANT_SUITES"] ?? "").split(",");

class InOrder extends BaseSequencer {
  /**
   * @override
   * @type {BaseSequencer["sort"]}
   */
  async sort(specifications) {
    const place = (/** @type {{ moduleId: string }} */ { moduleId }) =>
      suites.findIndex((suite) => moduleId === resolve(suite));
    return specifications.toSorted((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    include: suites,
    bail: 1,
    fileParallelism: false,
    pool: "forks",
    testTimeout: 30_000,
    hookTimeout: 30_000,
    sequence: { sequencer: InOrder },
    cache: false,
  },
});
