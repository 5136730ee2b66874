// @ts-check
/**
 * `npm run mutants`: takes one step of the protocol away after the other, and fails if no suite notices.
 *
 * Each mutant of the list is one change of one line or two, tried in a copy of the project with the suites that are most
 * likely to notice. Nothing is run before every mutant that was chosen fits the source. What became of them is kept in
 * docs/evidence/mutants.json, and docs/evidence/mutants.md is made from that.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { misfit } from "./apply.mjs";
import { MUTANTS } from "./list.mjs";
import { Outcomes } from "./outcomes.mjs";
import { describeMutants } from "./report.mjs";
import { Sandbox } from "./sandbox.mjs";

const USAGE = `npm run mutants -- [options]

  --only TEXT     mutants whose name, rule or file has this text
  --untried       of these, those that were never tried as they are now
  --changed       of these, those too whose file has changed since
  --list          name them, and run nothing
  --workers N     so many at once, one a core (default 2)
  --sim           give survivors 20,000 schedules of the simulator as well
`;
const ROOT = new URL("../", import.meta.url);
const REPORT = fileURLToPath(new URL("docs/evidence/mutants.md", ROOT));
const outcomes = new Outcomes(fileURLToPath(new URL("docs/evidence/mutants.json", ROOT)));

const options = readOptions();
if (options === undefined) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  const named = MUTANTS.filter(({ name, rule, file }) => `${name}\n${rule}\n${file}`.includes(options.only));
  const chosen = named.filter((mutant) => isDue(mutant, options));
  if (named.length > 0 && chosen.length === 0) console.log("nothing to do: all of them were tried");
  else if (chosen.length === 0) {
    console.error(
      `no mutant has ${JSON.stringify(options.only)} in its name, rule or file; --list names them all`,
    );
    process.exitCode = 2;
  } else if (options.list)
    for (const { name, rule, file } of chosen) console.log(`${file}  ${rule}  ${name}`);
  else process.exitCode = reportMisfits(chosen) ? 1 : await runAll(chosen, options);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: "string", default: "" },
        untried: { type: "boolean", default: false },
        changed: { type: "boolean", default: false },
        list: { type: "boolean", default: false },
        workers: { type: "string", default: "2" },
        sim: { type: "boolean", default: false },
      },
    });
    const workers = Number(values.workers);
    return Number.isInteger(workers) && workers > 0 ? { ...values, workers } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {import("./suites.mjs").Mutant} mutant
 * @param {{ untried: boolean, changed: boolean }} options
 */
function isDue(mutant, { untried, changed }) {
  if (!untried && !changed) return true;
  if (mutant.equivalent !== undefined) return false;
  return changed ? !outcomes.isFresh(mutant, readSource(mutant.file)) : outcomes.of(mutant) === undefined;
}

/**
 * Names all mutants that do not fit the source as it is.
 * @param {readonly import("./suites.mjs").Mutant[]} chosen
 * @returns {boolean} Whether there are any.
 */
function reportMisfits(chosen) {
  const sources = new Map(chosen.map(({ file }) => [file, readSource(file)]));
  const problems = chosen.flatMap((mutant) => misfit(sources.get(mutant.file), mutant) ?? []);
  if (problems.length === 0) return false;
  for (const problem of problems) console.error(problem);
  console.error(
    `${problems.length} of ${chosen.length} mutants do not fit the source: nothing was run. Quote the source in mutants/attacks/ as it is now.`,
  );
  return true;
}

/** @param {string} file */
function readSource(file) {
  const path = new URL(file, ROOT);
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

/**
 * @param {readonly import("./suites.mjs").Mutant[]} chosen
 * @param {{ workers: number, sim: boolean }} options
 * @returns {Promise<number>} The exit code.
 */
async function runAll(chosen, { workers, sim }) {
  const start = performance.now();
  /** @type {Map<import("./suites.mjs").Mutant, import("./sandbox.mjs").Outcome>} */
  const found = new Map();
  const sources = new Map(chosen.map(({ file }) => [file, readSource(file)]));
  const open = chosen.filter(({ equivalent }) => equivalent === undefined);
  const total = open.length;
  const sandboxes = Array.from({ length: workers }, () => new Sandbox());
  for (const signal of ["SIGINT", "SIGTERM"])
    process.once(signal, () => {
      for (const sandbox of sandboxes) sandbox.dispose();
      process.exit(1);
    });
  const work = async (/** @type {Sandbox} */ sandbox) => {
    for (let mutant = open.shift(); mutant !== undefined; mutant = open.shift()) {
      const outcome = await sandbox.try(mutant, sim).catch((/** @type {Error} */ { message }) => {
        console.error(message);
        return { by: undefined, seconds: 0 };
      });
      found.set(mutant, outcome);
      const { by, seconds } = outcome;
      const fate = by === undefined ? "SURVIVED" : "killed";
      console.log(
        `${String(found.size)}/${total} ${fate} ${mutant.name} (${mutant.rule}) ${seconds.toFixed(1)} s ${by ?? mutant.file}`,
      );
    }
  };
  /** @type {string | undefined} */
  let broken;
  try {
    await Promise.all(sandboxes.map(work));
    const killers = [...found.values()].flatMap(({ by }) => by?.split(": ")[0] ?? []);
    if (killers.length > 0) broken = await sandboxes[0]?.unchanged([...new Set(killers)]);
  } finally {
    for (const sandbox of sandboxes) sandbox.dispose();
  }
  if (broken !== undefined) {
    console.error(`This run says nothing: without any mutant fails ${broken}`);
    return 1;
  }
  const survivors = [...found].filter(([, { by }]) => by === undefined);
  const minutes = (performance.now() - start) / 60_000;
  console.log(
    `${total} mutants, ${total - survivors.length} killed, ${survivors.length} survived, in ${minutes.toFixed(1)} minutes`,
  );
  for (const [{ name, file }] of survivors) console.log(`survived: ${name} (${file})`);
  for (const [mutant, outcome] of found) outcomes.add(mutant, sources.get(mutant.file), outcome);
  outcomes.write(MUTANTS);
  writeFileSync(REPORT, await describeMutants(MUTANTS, outcomes, REPORT));
  return survivors.length === 0 ? 0 : 1;
}
