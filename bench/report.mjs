// @ts-check
import { bold, count, duration, green, red, say, size, table } from "../examples/demo/report.mjs";
import { GOALS } from "./goals.mjs";
import { spread } from "./statistics.mjs";

/**
 * @typedef {import("./workload.mjs").Row} Row
 * @typedef {Row & { ratio: import("./statistics.mjs").Spread | undefined, wanted: number | undefined }} Result
 */

/**
 * @param {Row} row
 * @returns {Result} How many times better than the peer, round by round.
 */
export function evaluate(row) {
  const { ours, theirs, unit, goal } = row;
  const ratios = ours.slice(0, theirs.length).map((own, round) => {
    const other = theirs[round] ?? Number.NaN;
    return unit === "rate" ? own / other : other / own;
  });
  return {
    ...row,
    ratio: ratios.length > 0 ? spread(ratios) : undefined,
    wanted: goal === undefined ? undefined : GOALS[goal],
  };
}

/**
 * @param {string} title
 * @param {readonly Result[]} results
 */
export function printResults(title, results) {
  say();
  say(bold(title));
  table([
    ["", "sessiondir", "p10 - p90", "peer", "p10 - p90", "against", "ratio", "p10 - p90", "goal", ""],
    ...results.map(({ label, unit, ours, theirs, against, ratio, wanted }) => [
      label,
      ...cells(ours, unit),
      ...(theirs.length > 0 ? cells(theirs, unit) : ["", ""]),
      against,
      ratio === undefined ? "" : `${factor(ratio.median)}x`,
      ratio === undefined || ours.length < 2 ? "" : `${factor(ratio.p10)} - ${factor(ratio.p90)}`,
      wanted === undefined ? "" : `${factor(wanted)}x`,
      wanted === undefined || ratio === undefined
        ? ""
        : ratio.median >= wanted
          ? green("met")
          : red("missed"),
    ]),
  ]);
}

/**
 * @param {readonly number[]} samples
 * @param {Row["unit"]} unit
 */
function cells(samples, unit) {
  const show =
    unit === "time" ? duration : unit === "bytes" ? size : (/** @type {number} */ rate) => `${count(rate)}/s`;
  const { median, p10, p90 } = spread(samples);
  return [show(median), samples.length < 2 ? "" : `${show(p10)} - ${show(p90)}`];
}

/** @param {number} ratio */
function factor(ratio) {
  if (ratio >= 100) return count(ratio);
  return ratio >= 10 ? ratio.toFixed(1) : ratio >= 0.1 ? ratio.toFixed(2) : ratio.toPrecision(2);
}
