// @ts-check
/**
 * Files of results. A complete run, of all workloads and peers, is kept in results/, one of all that a section of the page
 * is about in a folder there; the page in docs/ is made from these. Every other run is kept in results/local/.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * @typedef {object} Results
 * @property {string} started
 * @property {number} seconds
 * @property {boolean} complete
 * @property {string} [section] All that this section of the page is about was measured, by all peers.
 * @property {Record<string, string>} machine
 * @property {{ name: string, short: string, version: string, settings: string, reads: string, transcripts?: string }[]} peers
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
  const folder = results.complete ? FOLDER : join(FOLDER, results.section ?? "local");
  mkdirSync(folder, { recursive: true });
  const stamp = results.started.slice(0, 19).replaceAll(":", "");
  const path = join(folder, `${stamp}-${process.platform}-${process.arch}.json`);
  const short = (/** @type {string} */ _key, /** @type {unknown} */ value) =>
    typeof value === "number" ? Number(value.toPrecision(5)) : value;
  writeFileSync(path, `${JSON.stringify(results, short, 1)}\n`);
  return path;
}

/**
 * @param {string} [section] Or the latest run that has all of it.
 * @returns {Results | undefined} Of the latest complete run.
 */
export function newestResults(section) {
  const found = [FOLDER, ...(section === undefined ? [] : [join(FOLDER, section)])].flatMap((folder) => {
    mkdirSync(folder, { recursive: true });
    const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
    return names.map((name) => ({ name, path: join(folder, name) }));
  });
  found.sort((a, b) => (a.name < b.name ? 1 : -1));
  for (const { path } of found) {
    const results = readResults(path);
    if (section === undefined || partOf(results, section).length > 0) return results;
  }
  return undefined;
}

/**
 * @param {Results} results
 * @param {string} section A folder of workloads; empty for those in none.
 */
export function partOf({ workloads }, section) {
  return workloads.filter(({ name }) => name.split("/").slice(0, -1).join("/") === section);
}

/** @param {string} path @returns {Results} */
export function readResults(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}
