// @ts-check
/**
 * `npm test`: the checks of `check.mjs`, the build among them, then every test; the last line is `N passed, N failed, N skipped`.
 *
 * Everything runs, whatever failed before it, so that one run tells all. Only tests are counted as passed; a
 * failed build or check counts as one failure, and so does a run that found no test. Arguments go to vitest
 * (`npm test -- test/format`).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CHECKS, runChecks } from "./check.mjs";
import { summaryLine } from "./test-summary-reporter.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = (/** @type {string} */ path) => join(root, "node_modules", path);

/** @param {readonly string[]} args @param {NodeJS.ProcessEnv} [env] */
function run(args, env = process.env) {
  const { status, signal } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit", env });
  if (signal !== null) console.error(`ended by ${signal}`);
  return status === 0;
}

/** Runs vitest and returns its counts; a run that ended without reporting any is one failure. */
function runTests() {
  const folder = mkdtempSync(join(tmpdir(), "sessiondir-counts-"));
  const file = join(folder, "counts.json");
  try {
    const vitest = [bin("vitest/vitest.mjs"), "run", ...process.argv.slice(2)];
    const succeeded = run(vitest, { ...process.env, SESSIONDIR_TEST_COUNTS: file });
    /** @type {import("./test-summary-reporter.mjs").Counts} */
    let counts;
    try {
      counts = JSON.parse(readFileSync(file, "utf8"));
    } catch {
      console.error("vitest ended without a result");
      return { passed: 0, failed: 1, skipped: 0 };
    }
    const ran = counts.passed + counts.failed;
    if (ran === 0) console.error("no test was run");
    if (ran === 0 || (!succeeded && counts.failed === 0)) counts.failed += 1;
    return counts;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const failedChecks = await runChecks(CHECKS);

console.log("\n> test");
const counts = runTests();
if (failedChecks.length > 0) console.error(`failed checks: ${failedChecks.join(", ")}`);
counts.failed += failedChecks.length;

console.log(summaryLine(counts));
process.exitCode = counts.failed === 0 ? 0 : 1;
