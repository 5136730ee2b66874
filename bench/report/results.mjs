// @ts-check
/**
 * Files of results. Every run is kept in results/local/; a complete one, of all workloads and peers, also in results/,
 * from where the page in docs/ is made.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * @typedef {object} Results
 * @property {string} started
 * @property {number} seconds
 * @property {boolean} complete
 * @property {Record<string, string>} machine
 * @property {{ name: string, short: string, version: string, settings: string, reads: string }[]} peers
 * @property {{ name: string, reason: string }[]} skipped
 * @property {WorkloadResults[]} workloads
 *
 * @typedef {object} WorkloadResults
 * @property {string} name
 * @property {string} title
 * @property {string} note
 * @property {number} seconds
 * @property {import("../runner/sheet.mjs").Figure[]} figures
 * @property {{ peer: string, part: string, reason: string }[]} failures
 */

const FOLDER = fileURLToPath(new URL("../results/", import.meta.url));

/** @param {Results} results @returns {string} The file. */
export function writeResults(results) {
  const folder = results.complete ? FOLDER : join(FOLDER, "local");
  mkdirSync(folder, { recursive: true });
  const stamp = results.started.slice(0, 19).replaceAll(":", "");
  const path = join(folder, `${stamp}-${process.platform}-${process.arch}.json`);
  const short = (/** @type {string} */ _key, /** @type {unknown} */ value) =>
    typeof value === "number" ? Number(value.toPrecision(5)) : value;
  writeFileSync(path, `${JSON.stringify(results, short, 1)}\n`);
  return path;
}

/** @returns {Results | undefined} Of the latest complete run. */
export function newestResults() {
  mkdirSync(FOLDER, { recursive: true });
  const names = readdirSync(FOLDER)
    .filter((name) => name.endsWith(".json"))
    .sort();
  const newest = names.at(-1);
  return newest === undefined ? undefined : readResults(join(FOLDER, newest));
}

/** @param {string} path @returns {Results} */
export function readResults(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}
