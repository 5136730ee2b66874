// @ts-check
/**
 * What the directory engine is meant to reach, as a ratio in one run on one machine: times against the peer's times,
 * throughput against the peer's throughput. 2 means twice as good as the peer, 0.77 a third worse.
 *
 * The peer is better-sqlite3 with WAL, synchronous NORMAL for "os" and FULL for "disk", where no other is named. An
 * operation that has to do the same work as the peer (open a file, read fifty rows) may be a little slower; one
 * that need not do the work at all (parse what is in memory, write what did not change) must be much faster.
 */
import { median, spread } from "./statistics.mjs";
import { POOL } from "./workloads/durable.mjs";

const OURS = "sessiondir";
const PEER = "better-sqlite3";

/**
 * @typedef {object} Goal
 * @property {string} label
 * @property {string} figure The id of what is compared.
 * @property {number} wanted
 * @property {string} [against] Another peer.
 * @property {string} [with] Another figure of ours, of the same peer: how a cost grows.
 *
 * @typedef {Goal & { ratio: import("./statistics.mjs").Spread, cpuRatio?: number }} Outcome With the ratio of the CPU time
 *   of one operation where that was measured: it depends least on what else the machine does.
 */

/** @type {readonly Goal[]} */
export const GOALS = [
  { label: "warm get, small", figure: "get warm small", wanted: 8 },
  { label: "warm get, large", figure: "get warm large", wanted: 100 },
  { label: "update, os, 650 small", figure: "update os 650", wanted: 2 },
  { label: "update, os, 650 large", figure: "update os large", wanted: 50 },
  { label: "update, os, 10,000 small", figure: "update os 10000", wanted: 2 },
  { label: "update, os, 100,000 small", figure: "update os 100000", wanted: 2 },
  {
    label: "update, os, at 100,000 as at 650",
    figure: "update os 100000",
    with: "update os 650",
    wanted: 0.8,
  },
  { label: "update, disk, as append + fdatasync", figure: "update disk", against: POOL, wanted: 1 / 1.2 },
  { label: "4 processes, os, distinct", figure: "4 processes os", wanted: 2 },
  { label: "4 processes, os, hot", figure: "4 processes os hot", wanted: 2 },
  { label: "4 processes, os, distinct: worst update", figure: "4 processes os, worst", wanted: 10 },
  { label: "4 processes, os, hot: worst update", figure: "4 processes os hot, worst", wanted: 10 },
  { label: "4 processes, disk, distinct", figure: "4 processes disk", wanted: 1.4 },
  { label: "4 processes, disk, hot", figure: "4 processes disk hot", wanted: 1.4 },
  { label: "sustained, Zipf 0.99", figure: "sustained zipf", wanted: 1 },
  { label: "sustained, Zipf 0.99, until all is in files", figure: "sustained zipf, settled", wanted: 1 },
  { label: "sustained, uniform", figure: "sustained uniform", wanted: 0.5 },
  { label: "sustained, uniform, until all is in files", figure: "sustained uniform, settled", wanted: 0.5 },
  { label: "cold open + get, 650", figure: "open 650", wanted: 1 / 1.3 },
  { label: "cold open + get, 100,000", figure: "open 100000", wanted: 1 / 1.3 },
  { label: "cold open + get, 650, 2 MB in the log", figure: "open log", wanted: 1 / 1.3 },
  { label: "cold list, 50 newest of 10,000", figure: "cold list newest 10000", wanted: 1 / 1.3 },
  { label: "cold list, 50 newest of 100,000", figure: "cold list newest 100000", wanted: 1 / 1.3 },
  { label: "warm list, all of 100,000", figure: "warm list all 100000", wanted: 20 },
  { label: "memory, 650 large", figure: "memory large", wanted: 4 },
  { label: "disk, 650 large", figure: "disk large", wanted: 5 },
  {
    label: "update, os, 650 small: sessions.json",
    figure: "update os 650",
    against: "sessions.json",
    wanted: 100,
  },
  {
    label: "update, os, 650 small: folders + state.json",
    figure: "update os 650",
    against: "folders + state.json",
    wanted: 100,
  },
  {
    label: "update, 650 small: openclaw 2026.4.24 (JSON)",
    figure: "update os 650",
    against: "openclaw 2026.4.24 (JSON)",
    wanted: 100,
  },
];

/**
 * @param {readonly import("./sheet.mjs").Figure[]} figures
 * @returns {Outcome[]} Of the goals that were measured, in their order.
 */
export function evaluateGoals(figures) {
  const byId = new Map(figures.map((figure) => [figure.id, figure]));
  return GOALS.flatMap((goal) => {
    const figure = byId.get(goal.figure);
    const other = goal.with === undefined ? figure : byId.get(goal.with);
    const ours = figure?.samples[OURS] ?? [];
    const theirs = other?.samples[goal.with === undefined ? (goal.against ?? PEER) : OURS] ?? [];
    const ratios = ratiosOf(ours, theirs, figure?.unit ?? "time");
    if (ratios.length === 0) return [];
    const cpu = byId.get(`${goal.figure}, cpu`);
    const cpuRatios =
      goal.with === undefined
        ? ratiosOf(cpu?.samples[OURS] ?? [], cpu?.samples[goal.against ?? PEER] ?? [], "time")
        : [];
    return [{ ...goal, ratio: spread(ratios), ...(cpuRatios.length > 0 && { cpuRatio: median(cpuRatios) }) }];
  });
}

/**
 * @param {readonly number[]} ours
 * @param {readonly number[]} theirs
 * @param {import("./sheet.mjs").Unit} unit
 * @returns {number[]} How many times better, round by round.
 */
export function ratiosOf(ours, theirs, unit) {
  return ours.slice(0, theirs.length).map((own, round) => {
    const other = theirs[round] ?? Number.NaN;
    return unit === "rate" ? own / other : other / own;
  });
}

/** @param {Outcome} outcome */
export function isMet({ ratio, wanted }) {
  return ratio.median >= wanted;
}
