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
import {
  APPEND_ON_POOL,
  BARE_LOG,
  CALLS,
  CLOCK,
  JSONL,
  OPENING,
  OVERWRITE_ON_POOL,
} from "../peers/index.mjs";

const OURS = "sessiondir";
/** Whom the goals are about where they name no other. */
export const PEER = "better-sqlite3";

/**
 * @typedef {object} Goal
 * @property {string} label
 * @property {string} figure The id of what is compared.
 * @property {number} wanted
 * @property {string} [against] Another peer.
 * @property {string} [with] Another figure of ours, of the same peer: how a cost grows.
 * @property {readonly string[]} [floors] What stands in the way: the least that has to be done, by their names.
 *
 * @typedef {import("./statistics.mjs").Spread} Spread
 * @typedef {Goal & { ratio: Spread, cpuRatio?: number, reach: { floor: string, ratio: Spread }[] }} Outcome With the ratio
 *   of the CPU time of one operation where that was measured: it depends least on what else the machine does; and with
 *   the ratio that each floor has to the same peer: more cannot be reached.
 */

const UPDATING = [CALLS, BARE_LOG];
const SYNCING = [BARE_LOG, APPEND_ON_POOL, OVERWRITE_ON_POOL];

/** @type {readonly Goal[]} */
export const GOALS = [
  { label: "warm get, small", figure: "get warm small", floors: UPDATING, wanted: 8 },
  { label: "warm get, large", figure: "get warm large", floors: UPDATING, wanted: 100 },
  { label: "update, os, 650 small", figure: "update os 650", floors: UPDATING, wanted: 2 },
  { label: "update, os, 650 large", figure: "update os large", floors: UPDATING, wanted: 50 },
  { label: "update, os, 10,000 small", figure: "update os 10000", floors: UPDATING, wanted: 2 },
  { label: "update, os, 100,000 small", figure: "update os 100000", floors: UPDATING, wanted: 2 },
  {
    label: "update, os, at 100,000 as at 650",
    figure: "update os 100000",
    with: "update os 650",
    wanted: 0.8,
  },
  {
    label: "update, disk, as append + fdatasync",
    figure: "update disk",
    floors: UPDATING,
    against: APPEND_ON_POOL,
    wanted: 1 / 1.2,
  },
  { label: "4 processes, os, distinct", figure: "4 processes os", floors: UPDATING, wanted: 2 },
  { label: "4 processes, os, hot", figure: "4 processes os hot", floors: UPDATING, wanted: 2 },
  {
    label: "4 processes, os, distinct: worst update",
    figure: "4 processes os, worst",
    floors: [CLOCK, CALLS],
    wanted: 10,
  },
  {
    label: "4 processes, os, hot: worst update",
    figure: "4 processes os hot, worst",
    floors: [CLOCK, CALLS],
    wanted: 10,
  },
  { label: "4 processes, disk, distinct", figure: "4 processes disk", floors: SYNCING, wanted: 1.4 },
  { label: "4 processes, disk, hot", figure: "4 processes disk hot", floors: SYNCING, wanted: 1.4 },
  { label: "sustained, Zipf 0.99", figure: "sustained zipf", wanted: 1 },
  { label: "sustained, Zipf 0.99, until all is in files", figure: "sustained zipf, settled", wanted: 1 },
  { label: "sustained, uniform", figure: "sustained uniform", wanted: 0.5 },
  { label: "sustained, uniform, until all is in files", figure: "sustained uniform, settled", wanted: 0.5 },
  { label: "cold open + get, 650", figure: "open 650", floors: [OPENING], wanted: 1 / 1.3 },
  { label: "cold open + get, 100,000", figure: "open 100000", floors: [OPENING], wanted: 1 / 1.3 },
  { label: "cold open + get, 650, 2 MB in the log", figure: "open log", floors: [OPENING], wanted: 1 / 1.3 },
  {
    label: "cold list, 50 newest of 10,000",
    figure: "cold list newest 10000",
    floors: [OPENING],
    wanted: 1 / 1.3,
  },
  {
    label: "cold list, 50 newest of 100,000",
    figure: "cold list newest 100000",
    floors: [OPENING],
    wanted: 1 / 1.3,
  },
  { label: "warm list, all of 100,000", figure: "warm list all 100000", floors: [BARE_LOG], wanted: 20 },
  { label: "memory, 650 large", figure: "memory large", wanted: 4 },
  { label: "disk, 650 large", figure: "disk large", wanted: 5 },
  {
    label: "update, os, 650 small: sessions.json",
    figure: "update os 650",
    floors: UPDATING,
    against: "sessions.json",
    wanted: 100,
  },
  {
    label: "update, os, 650 small: folders + state.json",
    figure: "update os 650",
    floors: UPDATING,
    against: "folders + state.json",
    wanted: 100,
  },
  {
    label: "update, 650 small: openclaw 2026.4.24 (JSON)",
    figure: "update os 650",
    floors: UPDATING,
    against: "openclaw 2026.4.24 (JSON)",
    wanted: 100,
  },
];

/** Those of transcripts. @type {readonly Goal[]} */
export const TRANSCRIPT_GOALS = [
  { label: "append, os", figure: "append os", floors: UPDATING, wanted: 2 },
  {
    label: "append, os: JSONL (open, write, close)",
    figure: "append os",
    floors: UPDATING,
    against: JSONL,
    wanted: 1,
  },
  {
    label: "append, disk, as append + fdatasync",
    figure: "append disk",
    floors: UPDATING,
    against: APPEND_ON_POOL,
    wanted: 1 / 1.2,
  },
  {
    label: "append, disk, as an update",
    figure: "append disk",
    with: "append disk, update",
    wanted: 1 / 1.2,
  },
  {
    label: "append and patch, os, as an append",
    figure: "append patch os",
    with: "append os",
    wanted: 1 / 1.3,
  },
  { label: "50 newest of 100,000, beyond opening", figure: "newest items", wanted: 1 / 1.3 },
  { label: "all of 100,000: JSON.parse of each line", figure: "all items", against: JSONL, wanted: 0.7 },
  { label: "4 processes append, own", figure: "4 append own", floors: UPDATING, wanted: 2 },
  { label: "4 processes append, all to one", figure: "4 append one", floors: UPDATING, wanted: 2 },
  {
    label: "4 processes append, own: worst",
    figure: "4 append own, worst",
    floors: [CLOCK, CALLS],
    wanted: 10,
  },
  {
    label: "4 processes append, all to one: worst",
    figure: "4 append one, worst",
    floors: [CLOCK, CALLS],
    wanted: 10,
  },
  { label: "100,000 items, on disk: JSONL", figure: "items on disk", against: JSONL, wanted: 1 / 1.2 },
];

/**
 * @param {readonly import("../runner/sheet.mjs").Figure[]} figures
 * @param {readonly Goal[]} [goals]
 * @returns {Outcome[]} Of the goals that were measured, in their order.
 */
export function evaluateGoals(figures, goals = [...GOALS, ...TRANSCRIPT_GOALS]) {
  const byId = new Map(figures.map((figure) => [figure.id, figure]));
  return goals.flatMap((goal) => {
    const figure = byId.get(goal.figure);
    const other = goal.with === undefined ? figure : byId.get(goal.with);
    const ours = figure?.samples[OURS] ?? [];
    const theirs = other?.samples[goal.with === undefined ? (goal.against ?? PEER) : OURS] ?? [];
    const unit = figure?.unit ?? "time";
    const ratios = ratiosOf(ours, theirs, unit);
    if (ratios.length === 0) return [];
    const reach = (goal.floors ?? []).flatMap((floor) => {
      const found = ratiosOf(figure?.samples[floor] ?? [], theirs, unit);
      return found.length === 0 ? [] : [{ floor, ratio: spread(found) }];
    });
    const cpu = byId.get(`${goal.figure}, cpu`);
    const cpuRatios =
      goal.with === undefined
        ? ratiosOf(cpu?.samples[OURS] ?? [], cpu?.samples[goal.against ?? PEER] ?? [], "time")
        : [];
    const cpuRatio = cpuRatios.length > 0 && { cpuRatio: median(cpuRatios) };
    return [{ ...goal, ratio: spread(ratios), ...cpuRatio, reach }];
  });
}

/**
 * @param {readonly number[]} ours
 * @param {readonly number[]} theirs
 * @param {import("../runner/sheet.mjs").Unit} unit
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

/**
 * Each goal that was measured, with what was wanted of it.
 * @param {readonly Outcome[]} outcomes
 * @param {(ratio: number) => string} inWords
 * @param {{ readonly met: string, readonly missed: string }} verdicts As the reader is told.
 * @returns {string[][]} Rows of {@link GOAL_COLUMNS}.
 */
export function goalRows(outcomes, inWords, verdicts) {
  return outcomes.map((outcome) => [
    outcome.label,
    inWords(outcome.wanted),
    inWords(outcome.ratio.median),
    `${inWords(outcome.ratio.p10)} - ${inWords(outcome.ratio.p90)}`,
    outcome.cpuRatio === undefined ? "" : inWords(outcome.cpuRatio),
    isMet(outcome) ? verdicts.met : verdicts.missed,
  ]);
}

export const GOAL_COLUMNS = ["goal", "wanted", "measured", "middle 80 % of the rounds", "of CPU", ""];

/**
 * Of each goal that was missed, what any store of this design has to do, and how near to the goal that alone comes.
 * @param {readonly Outcome[]} outcomes
 * @param {(ratio: number) => string} inWords
 * @returns {string[][]} A table with its header.
 */
export function obstaclesOf(outcomes, inWords) {
  const rows = outcomes
    .filter((outcome) => !isMet(outcome))
    .flatMap(({ label, wanted, ratio, reach }) =>
      reach.map(({ floor, ratio: most }) => [
        label,
        inWords(wanted),
        inWords(ratio.median),
        floor,
        `${inWords(most.median)} (${inWords(most.p10)} - ${inWords(most.p90)})`,
      ]),
    );
  return [["missed goal", "wanted", "measured", "the least to be done", "reachable at most"], ...rows];
}
