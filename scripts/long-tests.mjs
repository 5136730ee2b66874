// @ts-check
/**
 * The tests that are run for minutes or hours, by hand: `npm run kills`, `power-cuts`, `injections`, `fuzz`. Each is a
 * test file that `npm test` runs for a few seconds; this runs it alone, with the budget and the seed of the
 * command line. Needs a build.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));

/** @type {Record<string, { file: string, budget: string, variable: string, byDefault: string }>} */
const TESTS = {
  kills: { file: "test/process/kills", budget: "kills", variable: "KILLS", byDefault: "2000" },
  "power-cuts": {
    file: "test/process/power-cuts",
    budget: "cuts",
    variable: "POWER_CUTS",
    byDefault: "200",
  },
  injections: {
    file: "test/process/injection",
    budget: "cases",
    variable: "INJECTIONS",
    byDefault: "all",
  },
  fuzz: { file: "test/fuzz", budget: "minutes", variable: "FUZZ_MINUTES", byDefault: "10" },
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
const env = {
  ...process.env,
  [`SESSIONDIR_${test.variable}`]: String(values[test.budget]),
  SESSIONDIR_FUZZ_KEEP: values["keep"] ? "yes" : "no",
  SESSIONDIR_SEED: String(values["seed"] ?? Math.trunc(Math.random() * 2 ** 31)),
};
const { status } = spawnSync(
  process.execPath,
  [join(root, "node_modules/vitest/vitest.mjs"), "run", test.file],
  {
    cwd: root,
    stdio: "inherit",
    env,
  },
);
process.exitCode = status ?? 1;
