// @ts-check
/**
 * A whole life, as of a command-line tool: a new process loads a peer's code, opens a store, reads one session, or updates it, and
 * then opens and reads again and again.
 *
 *   node bench/runner/cold.mjs '{"peer":"…","folder":"…","durability":"os","key":"…","again":12}' 3>answer
 */
import { writeSync } from "node:fs";
import { nextTurn } from "../data/entries.mjs";
import { peerNamed } from "../peers/index.mjs";

/** @typedef {import("./workers.mjs").Which & { key: string, again: number, update?: boolean }} Life */
/** @typedef {{ loadMs: number, openMs: number, wholeMs: number, againMs: number[] }} Times */

const {
  peer,
  folder,
  durability,
  key,
  again,
  update = false,
} = /** @type {Life} */ (JSON.parse(process.argv[2] ?? ""));
const begun = performance.now();
const module = await peerNamed(peer).load();
// Native code is loaded when it is first used.
await module.version(folder);
const loaded = performance.now();
const openMs = await openAndRead();
const againMs = [];
for (let round = 0; round < again; round++) againMs.push(await openAndRead());
// The clock's zero is the beginning of the process.
const times = { loadMs: loaded - begun, openMs, wholeMs: loaded + openMs, againMs };
writeSync(3, JSON.stringify(times));
// A peer may have left a timer or a thread behind.
process.exit(0);

/** @returns {Promise<number>} Milliseconds; closing is not counted. */
async function openAndRead() {
  const start = performance.now();
  const store = await module.open(folder, durability);
  const read = update ? store.update(key, nextTurn) : store.get(key);
  const entry = await read;
  const ms = performance.now() - start;
  if (!update && entry === undefined) throw new Error(`${key} was not found`);
  await store.close();
  return ms;
}
