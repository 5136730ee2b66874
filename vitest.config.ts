import { accessSync, constants, statfsSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { defineConfig } from "vitest/config";

/** A file system in memory, which most Linux machines have; containers often have a very small one. */
const MEMORY = "/dev/shm";
const MEMORY_BYTES_MIN = 2 * 2 ** 30;

/**
 * Where tests in parallel make their stores. Thousands are made, each with a dozen syncs, and no test can tell a file that
 * is durable from one that is not. `test/process/` stays on the disk.
 */
function temporaryFolder(): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    accessSync(MEMORY, constants.W_OK);
    if (bavail * bsize >= MEMORY_BYTES_MIN) return MEMORY;
  } catch {
    // This machine has none.
  }
  return tmpdir();
}

/** What counts time or calls, or has processes fight over a store, wants the whole machine for itself. */
const ALONE = [
  "event-loop",
  "budget",
  "system-calls",
  "stress",
  "kills",
  "suspend",
  "watch",
  "exit",
  "store-gone",
  "maintenance",
  "first-open",
  "threads",
].map((name) => `test/process/${name}.test.ts`);

/** Many small files that leave nothing behind which another one could see. */
const TOGETHER = ["entries", "format", "fs", "log", "store"].map((folder) => `test/${folder}/**/*.test.ts`);

/** The tests proper: in parallel, in memory. */
const PROPER = {
  pool: "forks" as const,
  env: { TMPDIR: temporaryFolder() },
  // The simulated disk makes much that is soon garbage; with 16 MB of room, a fifth of the time goes to its collector.
  execArgv: ["--max-semi-space-size=64"],
  maxWorkers: availableParallelism(), // by default one less, which is half of a machine with two cores
  testTimeout: 30_000,
  hookTimeout: 30_000,
  sequence: { groupOrder: 0 },
};

const OF_PROCESSES = { pool: "forks", testTimeout: 180_000, hookTimeout: 60_000 } as const;

/**
 * The tests proper in parallel, small files of some folders together in one process; then those of `test/process/`, which start
 * processes, two at once; and then of these the ones that want to be alone.
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
          ...PROPER,
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/process/**", ...TOGETHER],
        },
      },
      {
        test: {
          ...PROPER,
          name: "together",
          include: TOGETHER,
          // Loading is most of what a small file costs: a process loads the sources once, and not for every file anew.
          isolate: false,
        },
      },
      {
        test: {
          ...OF_PROCESSES,
          name: "process",
          include: ["test/process/**/*.test.ts"],
          exclude: ALONE,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: { ...OF_PROCESSES, name: "alone", include: ALONE, maxWorkers: 1, sequence: { groupOrder: 2 } },
      },
    ],
  },
});
