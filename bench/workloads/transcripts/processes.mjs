// @ts-check
import { keyOf } from "../../data/entries.mjs";
import { BARE_LOG, CALLS, CLOCK } from "../../peers/index.mjs";
import { Crew, figuresOf } from "../../runner/crew.mjs";
import { SMALL_650 } from "../../runner/stores.mjs";
import {
  able,
  contendersOf,
  isInGoals,
  plainPeers,
  takeTurns,
  verifyCount,
  withFloors,
} from "../../runner/turns.mjs";

export const title = "several processes append";
export const note =
  "Four processes append messages of 1,024 bytes at the same time, os, as fast as they can: each to a transcript of its own " +
  "(«own»), or all to one. They open the store and warm up first, then begin at one instant; each round has new " +
  "transcripts, which are read after it: every process's items must be there, in its order, and nothing else. «Worst» is " +
  "the longest time from one finished append to the next in any of them; «until all is in files» adds the time of work " +
  "that was put off; CPU is that of all processes, for one append, work put off included.";
export const keeps = "transcripts";

const PROCESSES = 4;
/** The compiler needs some ten thousand appends of each process before it is done. */
const WARMING = { appends: 10_000, milliseconds: 15_000 };
/** Of the peers whose ratio is no goal. */
const SHORT_WARMING = { appends: 10_000, milliseconds: 500 };
const MILLISECONDS = 1_500;
const MILLISECONDS_QUICK = 150;

/** @typedef {{ id: string, label: string, one: boolean }} Part `one`: all append to one transcript. */

/** @type {readonly Part[]} */
const PARTS = [
  { id: "4 append own", label: "4, own", one: false },
  { id: "4 append one", label: "4, all to one", one: true },
];

/** @param {import("../../runner/turns.mjs").Context} context */
export async function run(context) {
  for (const part of PARTS) if (!context.quick || part.one) await measure(context, part);
}

/** @param {import("../../runner/turns.mjs").Context} context @param {Part} part */
async function measure(context, part) {
  const { sheet, stores, quick } = context;
  const { id, label } = part;
  const shape = { ...SMALL_650, use: id };
  sheet.define(id, label, "rate");
  sheet.define(`${id}, worst`, `${label}: worst`, "time");
  sheet.define(`${id}, settled`, `${label}: until all is in files`, "rate");
  sheet.define(`${id}, cpu`, `${label}: CPU`, "time");
  const rounds = quick ? 1 : 5;
  const plan = { part: label, ids: [id, `${id}, worst`, `${id}, settled`, `${id}, cpu`], rounds, warmUp: 1 };
  const taking = able(plainPeers(context.peers), shape).filter(({ manyProcesses }) => manyProcesses);
  const peers = withFloors(taking, CALLS, BARE_LOG, CLOCK);
  /** @type {Crew[]} */
  const crews = [];
  try {
    const contenders = await contendersOf(sheet, plan, peers, async (peer) => {
      const folder = await stores.get(peer, shape);
      const crew = new Crew({ peer: peer.name, folder, durability: "os" }, PROCESSES);
      crews.push(crew);
      return contender(crew, peer, part, quick, rounds);
    });
    await takeTurns(sheet, plan, contenders);
  } finally {
    await Promise.all(crews.map((crew) => crew.end()));
  }
}

/**
 * @param {Crew} crew
 * @param {import("../../peers/peer.mjs").Peer} peer
 * @param {Part} part
 * @param {boolean} quick
 * @param {number} rounds
 * @returns {import("../../runner/turns.mjs").Contender}
 */
function contender(crew, peer, { id, one }, quick, rounds) {
  const inGoals = isInGoals(peer) && !peer.floor;
  const warming = inGoals ? WARMING : SHORT_WARMING;
  let [burstNumber, total] = [0, 0];
  return {
    peer: peer.name,
    rounds: inGoals ? rounds : Math.min(2, rounds),
    async turn(round) {
      const length = quick
        ? { milliseconds: MILLISECONDS_QUICK }
        : round < 0
          ? warming
          : { milliseconds: MILLISECONDS };
      const first = burstNumber++ * PROCESSES;
      const keyFor = (/** @type {number} */ writer) => keyOf(first + (one ? 0 : writer));
      const burst = await crew.burst((writer, startUs) => {
        return { kind: "burstOfAppends", key: keyFor(writer), writer, startUs, ...length };
      });
      total += burst.count;
      if (!peer.floor) await verify(crew, keyFor, burst.counts);
      return figuresOf(id, burst, peer.name);
    },
    async end() {
      if (!peer.floor || peer.untraceable) return;
      verifyCount("items", /** @type {number} */ (await crew.first.ask({ kind: "countItems" })), total);
    },
  };
}

/**
 * What each transcript must have, as one of the processes reads it.
 * @param {Crew} crew
 * @param {(writer: number) => string} keyFor
 * @param {readonly number[]} counts
 */
async function verify(crew, keyFor, counts) {
  const written = counts.map((count, writer) => ({ writer, first: 0, count }));
  const keys = new Set(written.map(({ writer }) => keyFor(writer)));
  for (const key of keys)
    await crew.first.ask({
      kind: "verifyItems",
      key,
      written: written.filter(({ writer }) => keyFor(writer) === key),
    });
}
