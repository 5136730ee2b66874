// @ts-check
/**
 * Makes a store of many sessions, or opens one and lists it, and tells for how long at most each step kept the event
 * loop. A turn of the loop is asked for again and again; the longest wait for one is the longest block.
 */
import { openDirectoryStore } from "sessiondir";
import { argument, say } from "./conversation.mjs";

const { path, sessions, work } = argument;
const AT_ONCE = 500;

/** @template R @param {string} step @param {() => Promise<R>} run @returns {Promise<R>} */
async function measured(step, run) {
  let running = true;
  let longest = 0;
  let last = performance.now();
  const start = last;
  const turn = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  const result = await run();
  running = false;
  turn(); // what blocked at the very end
  say({ event: "measured", step, blockMs: Math.round(longest * 10) / 10, totalMs: Math.round(last - start) });
  return result;
}

/** Slices of 8 ms of parsing, composing and collecting: what a slice of the store is made of, with its garbage. */
async function referenceSlices() {
  const text = JSON.stringify({ sessionId: "s".repeat(36), updatedAt: 1, model: "large", tokens: [1, 2, 3] });
  /** @type {Map<string, object>} */
  const kept = new Map();
  for (let slice = 0; slice < 100; slice++) {
    const start = performance.now();
    while (performance.now() - start < 8) kept.set(`session:${kept.size % 100_000}`, JSON.parse(text));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function make() {
  const store = await openDirectoryStore(path, {
    durability: "os",
    flushDelayMs: 2 ** 30,
    segmentBytes: 2 ** 28,
  });
  for (let first = 0; first < sessions; first += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => putOne(store, first + index)));
  }
  await measured("checkpoint", () => store.checkpoint());
  await store.close();
}

/** @param {any} store @param {number} number */
function putOne(store, number) {
  return store.put(`agent:main:telegram:direct:${number}`, {
    sessionId: `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`,
    updatedAt: 1_795_200_000_000 + ((number * 7919) % sessions),
    model: "large",
    totalTokens: number,
    channel: "telegram",
  });
}

async function look() {
  await measured("reference", referenceSlices);
  const open = () => openDirectoryStore(path, { readOnly: true });
  const steps = {
    "cold count": (/** @type {any} */ store) => store.count(),
    "cold list of the 50 newest": (/** @type {any} */ store) =>
      store.list({ orderBy: "updatedAt", descending: true, limit: 50 }),
    "cold list of all": (/** @type {any} */ store) => store.list(),
  };
  for (const [step, ask] of Object.entries(steps)) {
    const store = await measured("open", open);
    const answer = await measured(step, () => ask(store));
    say({ event: "answer", step, count: answer.sessions?.length ?? answer });
    if (step === "cold list of all") {
      await measured("warm list of all", () => store.list());
      await measured("warm list by time", () => store.list({ orderBy: "updatedAt" }));
    }
    await store.close();
  }
}

await (work === "make" ? make() : look());
