// @ts-check
/**
 * The tests that are run for minutes or hours, by hand: `npm run kills`, `power-cuts`, `injections`, `fuzz`, `damages`, `store-damages`. Each
 * is a test file or two that `npm test` runs for a few seconds; this runs them alone, with the budget and the seed of the
 * command line. Needs a build. Fails if everything was skipped.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { summaryLine } from "./test-summary-reporter.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

/** @type {Record<string, { files: string[], budget: string, variable: string, byDefault: string }>} */
const TESTS = {
  kills: {
    files: ["test/process/kills", "test/process/transcript-kills"],
    budget: "kills",
    variable: "KILLS",
    byDefault: "2000",
  },
  "power-cuts": {
    files: ["test/process/power-cuts"],
    budget: "cuts",
    variable: "POWER_CUTS",
    byDefault: "200",
  },
  injections: {
    files: ["test/process/injection"],
    budget: "cases",
    variable: "INJECTIONS",
    byDefault: "all",
  },
  damages: {
    files: ["test/engine/directory/damage/damages"],
    budget: "damages",
    variable: "DAMAGES",
    byDefault: "2000",
  },
  "store-damages": {
    files: ["test/care/doctor/random-damage"],
    budget: "damages",
    variable: "STORE_DAMAGES",
    byDefault: "500",
  },
  fuzz: { files: ["test/fuzz"], budget: "minutes", variable: "FUZZ_MINUTES", byDefault: "10" },
};

const [name = "", ...args] = process.argv.slice(2);
const test = TESTS[name];
if (test === undefined) throw new Error(`which one: ${Object.keys(TESTS).join(", ")}?`);
const { values } = parseArgs({
  args,
  options: {
    [test.budget]: { type: "string", default: test.byDefault },
    seed: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const folder = mkdtempSync(join(tmpdir(), "sessiondir-counts-"));
const counts = join(folder, "counts.json");
const env = {
  ...process.env,
  SESSIONDIR_TEST_COUNTS: counts,
  [`SESSIONDIR_${test.variable}`]: String(values[test.budget]),
  SESSIONDIR_FUZZ_KEEP: values["keep"] ? "yes" : "no",
  SESSIONDIR_SEED: String(values["seed"] ?? Math.trunc(Math.random() * 2 ** 31)),
};
const { status } = spawnSync(
  process.execPath,
  [join(root, "node_modules/vitest/vitest.mjs"), "run", ...test.files],
  {
    cwd: root,
    stdio: "inherit",
    env,
  },
);
process.exitCode = (status ?? 1) || (someRan() ? 0 : 1);
rmSync(folder, { recursive: true });

/** A run of which everything was skipped has shown nothing: its tests' names say what is missing. */
function someRan() {
  const { passed, failed, skipped } = JSON.parse(readFileSync(counts, "utf8"));
  console.log(summaryLine({ passed, failed, skipped }));
  if (passed + failed > 0) return true;
  console.error(
    `nothing was run: npx vitest run --reporter=verbose ${test?.files.join(" ")} names what is missing here`,
  );
  return false;
}
