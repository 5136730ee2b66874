// @ts-check
/**
 * `npm run check`: everything that can be said about the source without running it, two checks at a time; `npm test` begins
 * with it. With names (`npm run check -- lint knip`) only these. What a check runs is its script in `package.json`.
 *
 * Everything runs, whatever failed before it, except what cannot work without the build when that failed: such a check
 * counts as failed, too. Each prints one block, in the order of the list, as soon as those before it have printed theirs.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** One a core of a small machine; the linter and the compiler take more than one by themselves for a while. */
const AT_ONCE = 2;

/**
 * @typedef {object} Check
 * @property {string} name Of a script in `package.json`.
 * @property {string} [needs] Check that must have passed.
 */

/** @type {ReadonlyArray<Check>} */
export const CHECKS = [
  { name: "build" },
  { name: "typecheck" },
  { name: "lint" },
  { name: "format:check" },
  { name: "check:layers" },
  { name: "check:package", needs: "build" },
  { name: "knip" },
];

/**
 * What a check's processes get. Packing would build once more (`prepare`), while others read what was built. Programs that
 * write into a pipe leave colours out unless they are told that a person reads it.
 */
const ENVIRONMENT = {
  ...process.env,
  npm_config_ignore_scripts: "true",
  ...(process.stdout.isTTY && process.env["NO_COLOR"] === undefined ? { FORCE_COLOR: "1" } : {}),
};

/**
 * @param {string} script
 * @param {Buffer[]} output Both streams, in the order in which they came.
 * @returns {Promise<boolean>} Whether it succeeded.
 */
function runScript(script, output) {
  return new Promise((resolve) => {
    const child = spawn("npm", ["run", "--silent", script], {
      cwd: root,
      env: ENVIRONMENT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (/** @type {Buffer} */ chunk) => output.push(chunk));
    child.on("error", (error) => output.push(Buffer.from(`${error.message}\n`)));
    child.on("close", (status, signal) => {
      if (signal !== null) output.push(Buffer.from(`ended by ${signal}\n`));
      resolve(status === 0);
    });
  });
}

/**
 * @param {ReadonlyArray<Check>} checks
 * @param {(text: string | Buffer) => void} [print]
 * @param {typeof runScript} [run]
 * @returns {Promise<string[]>} Names of those that failed, in order.
 */
export async function runChecks(checks, print = (text) => void process.stdout.write(text), run = runScript) {
  /** @type {Map<string, Promise<boolean>>} */
  const results = new Map();
  /** @type {Set<Promise<boolean>>} */
  const running = new Set();
  let printed = Promise.resolve();
  for (const check of checks) {
    while (running.size >= AT_ONCE) await Promise.race(running);
    const needed = check.needs === undefined ? undefined : results.get(check.needs);
    /** @type {Buffer[]} */
    const output = [];
    const began = performance.now();
    let seconds = "";
    const result = outcome(check, needed, output, run).finally(() => {
      running.delete(result);
      seconds = ((performance.now() - began) / 1000).toFixed(1);
    });
    running.add(result);
    results.set(check.name, result);
    printed = Promise.all([printed, result]).then(([, passed]) => {
      print(`\n> ${check.name}${passed ? "" : ": FAILED"} (${seconds} s)\n`);
      for (const chunk of output) print(chunk);
    });
  }
  await printed;
  const passed = await Promise.all(results.values());
  return [...results.keys()].filter((_, index) => !passed[index]);
}

/**
 * @param {Check} check
 * @param {Promise<boolean> | undefined} needed
 * @param {Buffer[]} output
 * @param {typeof runScript} run
 */
async function outcome({ name, needs }, needed, output, run) {
  if (needed !== undefined && !(await needed)) {
    output.push(Buffer.from(`not run: it needs what "${needs}" makes\n`));
    return false;
  }
  return run(name, output);
}

/** @param {readonly string[]} names */
async function main(names) {
  const unknown = names.filter((name) => !CHECKS.some((check) => check.name === name));
  if (unknown.length > 0) {
    const known = CHECKS.map(({ name }) => name).join(", ");
    console.error(`there is no check "${unknown.join('", "')}"; there are ${known}`);
    process.exitCode = 2;
    return;
  }
  const chosen = names.length === 0 ? CHECKS : CHECKS.filter(({ name }) => names.includes(name));
  const failed = await runChecks(chosen);
  console.log(failed.length === 0 ? `\n${chosen.length} checks passed` : `\nfailed: ${failed.join(", ")}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
