import { accessSync, constants, statfsSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

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

/** What counts time, or has many processes fight over a store, wants the whole machine for itself. */
const ALONE = ["event-loop", "budget", "stress", "kills", "transcript-kills", "suspend", "watch"].map(
  (name) => `test/process/${name}.test.ts`,
);

/**
 * What has a process for itself: it measures the memory of its process, or changes for good what all of a process share, or is
 * so much work that it gains nothing from sources that are loaded already.
 * All other tests proper leave nothing behind that the next file could see.
 */
const APART = [
  "care/backup/kills",
  "care/doctor/interrupted",
  "care/doctor/random-damage",
  "engine/directory/bad-bytes/copies",
  "engine/directory/bad-bytes/log-end",
  "engine/directory/damage/damages",
  "engine/directory/hint/damaged-hint",
  "engine/directory/hostile/sizes",
  "engine/directory/protocol/failing-calls",
  "engine/directory/protocol/power-cut",
  "engine/directory/protocol/suspended",
  "engine/directory/rebuild",
  "engine/directory/session-index",
  "engine/directory/store-folder",
  "engine/postgres/conformance",
  "fuzz/fuzz",
  "legacy/merging/merge",
  "legacy/migration/migrate-crash",
  "legacy/two-at-once",
  "sim/simulate",
  "testing/conformance/suite",
].map((name) => `test/${name}.test.ts`);

/**
 * The files of `apart` first: they are the long ones, and a process of files that share it ends as soon as the next file in the
 * queue is of another project.
 */
class ApartFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isApart = ({ project }: TestSpecification): boolean => project.name === "apart";
    return [...sorted.filter(isApart), ...sorted.filter((file) => !isApart(file))];
  }
}

/** Of a machine with two cores one more than it has: tests that wait for a process or a disk leave it to others. */
const WORKERS = availableParallelism() + 1;

/** The tests proper: in parallel, in memory. */
const PROPER = {
  pool: "forks" as const,
  env: { TMPDIR: temporaryFolder() },
  // The simulated disk makes much that is soon garbage; with 16 MB of room, a fifth of the time goes to its collector.
  execArgv: ["--max-semi-space-size=64"],
  maxWorkers: WORKERS,
  testTimeout: 30_000,
  hookTimeout: 30_000,
  sequence: { groupOrder: 0 },
};

const OF_PROCESSES = { pool: "forks", testTimeout: 180_000, hookTimeout: 60_000 } as const;

/**
 * The tests proper in parallel, most of their files together in a few processes; then those of `test/process/`, which start
 * processes, in parallel as well; and then of these the ones that want to be alone.
 */
export default defineConfig({
  test: {
    reporters: ["default", "./scripts/test-summary-reporter.mjs"],
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      reporter: ["text", "html", "json-summary"],
    },
    sequence: { sequencer: ApartFirst },
    projects: [
      {
        test: {
          ...PROPER,
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/process/**", ...APART],
          // Loading is most of what a small file costs: a process loads the sources once, and not for every file anew.
          isolate: false,
        },
      },
      { test: { ...PROPER, name: "apart", include: APART } },
      {
        test: {
          ...OF_PROCESSES,
          name: "process",
          include: ["test/process/**/*.test.ts"],
          exclude: ALONE,
          maxWorkers: WORKERS,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: { ...OF_PROCESSES, name: "alone", include: ALONE, maxWorkers: 1, sequence: { groupOrder: 2 } },
      },
    ],
  },
});
