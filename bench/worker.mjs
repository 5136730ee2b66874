// @ts-check
/** A process that does what the benchmark tells it: works beside others, or starts cold. */
import { loadBetterSqlite3 } from "./peers/better-sqlite3.mjs";
import { peerNamed } from "./peers/index.mjs";
import { nextTurn } from "./entries.mjs";
import { Random } from "../examples/demo/sessions.mjs";

/** @typedef {import("./peers/peer.mjs").OpenPeer} OpenPeer */

const which = /** @type {import("./workers.mjs").Which} */ (JSON.parse(process.argv[2] ?? ""));
const peer = peerNamed(which.peer);
if (which.peer.startsWith("better-sqlite3")) await loadBetterSqlite3();

const UPDATES_PER_TURN = 16;

/** @type {OpenPeer | undefined} */
let opened;
const store = async () => (opened ??= await peer.open(which.folder, which.durability));

/** @type {Record<string, (order: any) => Promise<unknown>>} */
const ORDERS = {
  async open() {
    await store();
  },

  /** Updates sessions for a while. */
  async burst({ keys, milliseconds, seed }) {
    const open = await store();
    const random = new Random(seed);
    const start = performance.now();
    let [updates, worstMs, before] = [0, 0, start];
    while (before - start < milliseconds) {
      const done = open.update(random.pick(keys), nextTurn);
      if (done !== undefined) await done;
      updates++;
      if (updates % UPDATES_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
      const now = performance.now();
      worstMs = Math.max(worstMs, now - before);
      before = now;
    }
    return { updates, milliseconds: before - start, worstUs: worstMs * 1000 };
  },

  async settle() {
    await (await store()).settle();
  },

  /** Opens and reads one session, with cold code; then again and again. */
  async coldGet({ key, again }) {
    const times = [];
    for (let round = 0; round <= again; round++) {
      const start = performance.now();
      const open = await peer.open(which.folder, which.durability);
      const entry = open.get(key);
      times.push(performance.now() - start);
      if (entry === undefined) throw new Error(`${key} was not found`);
      await open.close();
    }
    return times;
  },

  /** Opens and lists the sessions that were used last. */
  async coldList({ count }) {
    const start = performance.now();
    const open = await store();
    const list = await open.newest(count);
    const milliseconds = performance.now() - start;
    return { milliseconds, keys: list.map(({ key }) => key) };
  },

  /** How much more memory it takes to have every session at hand and to have looked into it. */
  async memory({ keys }) {
    const rss = () => {
      globalThis.gc?.();
      globalThis.gc?.();
      return process.memoryUsage.rss();
    };
    const before = rss();
    const open = await store();
    const held = /** @type {string[]} */ (keys).map((key) => open.get(key));
    const chars = held.reduce((sum, entry) => sum + (entry?.skillsSnapshot?.prompt.length ?? 0), 0);
    const after = rss();
    return { growth: after - before, total: after, held: held.length, chars };
  },
};

process.on("message", async (/** @type {{ kind: string }} */ order) => {
  if (order.kind === "end") {
    await opened?.close();
    process.disconnect?.();
    return;
  }
  try {
    process.send?.({ result: await ORDERS[order.kind]?.(order) });
  } catch (error) {
    process.send?.({ error: /** @type {Error} */ (error).stack });
  }
});
