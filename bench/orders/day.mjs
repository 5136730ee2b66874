// @ts-check
/** Replays a gateway's day, and compares every session with what the day must have made of it. */
import { makeEntries, nextTurn } from "../data/entries.mjs";
import { DAY_SHAPE, makeDay } from "../data/gateway-day.mjs";
import { sizesOf } from "../runner/stores.mjs";
import { cpuUs, nextTurnOfLoop } from "./session.mjs";

/**
 * @typedef {import("./session.mjs").Session} Session
 * @typedef {import("../data/gateway-day.mjs").Operation} Operation
 */

const OPERATIONS_PER_TURN = 16;

/**
 * @param {Session} session
 * @param {{ events: number, seed: number, msMax: number }} order A peer that needs longer than msMax replays only the
 *   beginning of the day.
 */
export async function day(session, { events, seed, msMax }) {
  const operations = makeDay(events, seed);
  const store = await session.store();
  const cpuBefore = cpuUs();
  const start = performance.now();
  let [done, before, worstMs] = [0, start, 0];
  for (const operation of operations) {
    if (before - start > msMax) break;
    const answer = act(store, operation);
    if (answer instanceof Promise) await answer;
    done++;
    const now = performance.now();
    worstMs = Math.max(worstMs, now - before);
    if (done % OPERATIONS_PER_TURN === 0) await nextTurnOfLoop();
    before = performance.now();
  }
  const us = (performance.now() - start) * 1000;
  await store.settle();
  const settledUs = (performance.now() - start) * 1000;
  const result = {
    done,
    of: operations.length,
    us,
    settledUs,
    worstUs: worstMs * 1000,
    cpuUs: cpuUs() - cpuBefore,
  };
  await verify(store, operations.slice(0, done));
  return result;
}

/**
 * @param {import("../peers/peer.mjs").OpenPeer} store
 * @param {Operation} operation
 */
function act(store, operation) {
  switch (operation.kind) {
    case "get":
      return store.get(operation.key);
    case "update":
      return store.update(operation.key, nextTurn);
    case "put":
      return store.put(operation.key, operation.entry);
    case "delete":
      return store.delete(operation.key);
    case "newest":
      return store.newest(operation.count);
    case "oldest":
      return store.oldest(operation.count);
    case "all":
      return store.all();
  }
}

/**
 * @param {import("../peers/peer.mjs").OpenPeer} store
 * @param {Operation[]} operations
 */
async function verify(store, operations) {
  const expected = new Map(makeEntries(DAY_SHAPE.sessions, sizesOf(DAY_SHAPE)));
  for (const operation of operations) {
    if (operation.kind === "put") expected.set(operation.key, operation.entry);
    else if (operation.kind === "delete") expected.delete(operation.key);
    else if (operation.kind === "update") {
      const entry = expected.get(operation.key);
      if (entry !== undefined) expected.set(operation.key, nextTurn(entry));
    }
  }
  const found = await store.all();
  if (found.length !== expected.size) throw new Error(`${found.length} sessions instead of ${expected.size}`);
  for (const { key, entry } of found) {
    const wanted = expected.get(key);
    if (entry.n !== wanted?.n || entry.inputTokens !== wanted.inputTokens)
      throw new Error(`${key} had ${entry.n} updates instead of ${wanted?.n}`);
    if (entry.skillsSnapshot?.prompt !== wanted.skillsSnapshot?.prompt)
      throw new Error(`${key} has another snapshot`);
  }
}
