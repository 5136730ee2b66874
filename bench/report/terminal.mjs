// @ts-check
/** What a run has to say to somebody at a terminal. */
import { bold, dim, green, red, say, table } from "../../examples/demo/report.mjs";
import { GOAL_COLUMNS, goalRows, obstaclesOf, PEER } from "./goals.mjs";
import { factor, spreadInWords, wrap } from "./words.mjs";

const FIGURES_ABREAST = 4;

/**
 * @param {string} title
 * @param {string} note
 * @param {readonly import("../runner/sheet.mjs").Figure[]} figures
 * @param {readonly string[]} peers In the order of rows; others, like bare system calls, follow.
 */
export function printFigures(title, note, figures, peers) {
  say();
  say(bold(title));
  for (const line of wrap(note, 112)) say(dim(`  ${line}`));
  for (let first = 0; first < figures.length; first += FIGURES_ABREAST)
    table(rowsOf(figures.slice(first, first + FIGURES_ABREAST), peers));
}

/**
 * @param {readonly import("../runner/sheet.mjs").Figure[]} figures
 * @param {readonly string[]} peers
 * @returns {string[][]} The header, and a row for each peer that has a figure.
 */
export function rowsOf(figures, peers) {
  const others = figures
    .flatMap(({ samples }) => Object.keys(samples))
    .filter((name) => !peers.includes(name));
  const rows = [...peers, ...new Set(others)].flatMap((peer) => {
    const cells = figures.map(({ samples, unit, remarks }) => {
      const found = samples[peer];
      if (found === undefined || found.length === 0) return "";
      const remark = remarks[peer];
      return `${spreadInWords(found, unit)}${remark === undefined ? "" : `, ${remark}`}`;
    });
    return cells.every((cell) => cell === "") ? [] : [[peer, ...cells]];
  });
  return [["", ...figures.map(({ label }) => label)], ...rows];
}

/** @param {readonly { peer: string, part: string, reason: string }[]} failures */
export function printFailures(failures) {
  for (const { peer, part, reason } of failures) say(red(`  no figure for ${peer} in «${part}»: ${reason}`));
}

/**
 * What a run that lacks something must not end without saying.
 * @param {object} run
 * @param {readonly { name: string, reason: string }[]} run.skipped
 * @param {readonly string[]} run.measured Peers that have figures.
 * @param {boolean} run.needsPeer Whether the workloads of this run have it.
 * @returns {{ lines: string[], hollow: boolean }} Hollow: nothing to compare with, so the run has failed.
 */
export function missingOf({ skipped, measured, needsPeer }) {
  const lines = skipped.map(({ name, reason }) => `skipped: ${name}: ${reason}`);
  const hollow = needsPeer && !measured.includes(PEER);
  if (hollow)
    lines.push(`${PEER} was not measured, and it is what the goals are about: npm ci --prefix bench`);
  return { lines, hollow };
}

/** @param {readonly import("./goals.mjs").Outcome[]} outcomes */
export function printGoals(outcomes) {
  if (outcomes.length === 0) return;
  say();
  say(bold("goals"));
  say(dim("  How many times better sessiondir is: median of the rounds' ratios."));
  table([GOAL_COLUMNS, ...goalRows(outcomes, factor, { met: green("met"), missed: red("missed") })]);
  const obstacles = obstaclesOf(outcomes, factor);
  if (obstacles.length === 1) return;
  say();
  say(bold("what stands in the way"));
  say(dim("  How many times better the least that has to be done is, with nothing else around it."));
  table(obstacles);
}
