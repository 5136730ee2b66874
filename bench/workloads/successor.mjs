// @ts-check
import { keyOf } from "../data/entries.mjs";
import { Crew } from "../runner/crew.mjs";
import { SMALL_650 } from "../runner/stores.mjs";
import { able, contendersOf, isInGoals, plainPeers, takeTurns } from "../runner/turns.mjs";
import { liveOnce, Worker } from "../runner/workers.mjs";

export const title = "a killed gateway's successor";
export const note =
  "Four processes update one store as fast as they can. One of them is killed (SIGKILL), and a new process takes its place while the three " +
  "others go on: it opens the store and makes its first update. «Whole» is from the start of that process, with Node and the peer's code.";

const OTHERS = 3;
const ROUNDS = { goals: 30, others: 9, quick: 3 };
/** The others have begun by then, and go on until the successor is done, also on a busy machine. */
const KILLED_AFTER_MS = 400;
const WORKING_MS = 4_000;

/** @param {import("../runner/turns.mjs").Context} context */
export async function run({ sheet, stores, peers, quick }) {
  const ids = ["successor", "successor, whole"];
  sheet.define("successor", "open and first update", "time");
  sheet.define("successor, whole", "open and first update, whole", "time");
  const taking = able(plainPeers(peers), SMALL_650).filter(
    ({ manyProcesses, slow }) => manyProcesses && !slow,
  );
  const plan = { part: "successor", ids, rounds: quick ? ROUNDS.quick : ROUNDS.goals, warmUp: 1 };
  /** @type {Crew[]} */
  const crews = [];
  try {
    const contenders = await contendersOf(sheet, plan, taking, async (peer) => {
      const which = {
        peer: peer.name,
        folder: await stores.get(peer, SMALL_650),
        durability: /** @type {const} */ ("os"),
      };
      const crew = new Crew(which, OTHERS);
      crews.push(crew);
      return {
        peer: peer.name,
        rounds: isInGoals(peer) ? plan.rounds : Math.min(plan.rounds, ROUNDS.others),
        turn: (round) => turn(crew, which, round),
      };
    });
    await takeTurns(sheet, plan, contenders);
  } finally {
    await Promise.all(crews.map((crew) => crew.end()));
  }
}

/**
 * @param {Crew} crew
 * @param {import("../runner/workers.mjs").Which} which
 * @param {number} round
 */
async function turn(crew, which, round) {
  const orderOf = (/** @type {number} */ number, /** @type {number} */ startUs) => ({
    kind: "burst",
    milliseconds: WORKING_MS,
    seed: (round + 9) * 31 + number,
    keys: { shape: SMALL_650, size: "small", share: { number, of: OTHERS + 1 } },
    startUs,
    atOnce: 1,
  });
  const others = crew.burst(orderOf);
  const gateway = new Worker(which);
  const killed = gateway.ask(orderOf(OTHERS, 0)).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, KILLED_AFTER_MS));
  gateway.kill();
  await killed;
  const key = keyOf(((round + 9) * 97) % SMALL_650.sessions);
  const { openMs, wholeMs } = liveOnce({ ...which, key, again: 0, update: true });
  await others;
  return { successor: openMs * 1000, "successor, whole": wholeMs * 1000 };
}
