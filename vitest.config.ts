import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/**
 * Two projects, one after the other: the tests proper in parallel, then `test/process/`, whose tests start
 * processes that fight over a store and want the whole machine for themselves.
 */
export default defineConfig({
  test: {
    reporters: ["default", "./scripts/test-summary-reporter.mjs"],
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      reporter: ["text", "html", "json-summary"],
    },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/process/**"],
          pool: "forks",
          maxWorkers: availableParallelism(), // by default one less, which is half of a machine with two cores
          testTimeout: 30_000,
          hookTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "process",
          include: ["test/process/**/*.test.ts"],
          pool: "forks",
          maxWorkers: 1,
          testTimeout: 180_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
