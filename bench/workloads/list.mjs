// @ts-check
/** Opens a store in a new process and lists the 50 sessions used last; lists everything in a process that did so before. */
import { byTurns, NotVerified } from "../measure.mjs";
import { closeAll, openAll, plainPeers, rowsAgainstPeers } from "../workload.mjs";
import { askOnce } from "../workers.mjs";

/** @typedef {import("../workload.mjs").Context} Context */

export const title = "list";

const NEWEST = 50;

/** @param {Context} context */
export async function run(context) {
  const rows = [];
  for (const shape of context.quick ? [TEN_THOUSAND] : [TEN_THOUSAND, HUNDRED_THOUSAND]) {
    const count = shape.sessions.toLocaleString("en-US");
    const cold = await measureCold(context, shape);
    const warm = await measureWarm(context, shape);
    const goal = shape === HUNDRED_THOUSAND ? { goal: /** @type {const} */ ("warm list") } : {};
    rows.push(
      ...rowsAgainstPeers(
        context,
        { label: `open, 50 newest of ${count}`, unit: "time", goal: "cold list" },
        cold,
      ),
      ...rowsAgainstPeers(context, { label: `all of ${count}, again`, unit: "time", ...goal }, warm),
    );
  }
  return rows;
}

const TEN_THOUSAND = { sessions: 10_000 };
const HUNDRED_THOUSAND = { sessions: 100_000, large: 650 };

/**
 * @param {Context} context
 * @param {{ sessions: number, large?: number }} shape
 */
async function measureCold(context, shape) {
  /** @type {Record<string, () => Promise<number>>} */
  const contenders = {};
  for (const peer of plainPeers(context)) {
    const folder = await context.stores.get(peer, shape);
    const store = await peer.open(folder, "os");
    await store.tidy();
    const updatedAt = new Map((await store.all()).map(({ key, entry }) => [key, entry.updatedAt]));
    const times = [...updatedAt.values()].sort((a, b) => b - a);
    await store.close();
    contenders[peer.name] = async () => {
      const order = { kind: "coldList", count: NEWEST };
      const { milliseconds, keys } = /** @type {import("../workers.mjs").ColdList} */ (
        await askOnce({ peer: peer.name, folder, durability: "os" }, order)
      );
      const right = keys.length === NEWEST && keys.every((key, index) => updatedAt.get(key) === times[index]);
      if (!right) throw new NotVerified(`${peer.name} did not list the newest sessions`);
      return milliseconds * 1000;
    };
  }
  return byTurns({ rounds: context.quick ? 3 : 15, warmUp: 1 }, contenders);
}

/**
 * @param {Context} context
 * @param {{ sessions: number, large?: number }} shape
 */
async function measureWarm(context, shape) {
  const opened = await openAll(context, "os", shape, plainPeers(context));
  const contenders = Object.fromEntries(
    [...opened].map(([name, store]) => [
      name,
      async () => {
        const start = performance.now();
        const found = await store.all();
        const took = (performance.now() - start) * 1000;
        if (found.length !== shape.sessions) throw new NotVerified(`${name} listed ${found.length} sessions`);
        return took;
      },
    ]),
  );
  const samples = await byTurns({ rounds: context.quick ? 5 : 11, warmUp: 2 }, contenders);
  await closeAll(opened);
  return samples;
}
