// @ts-check
/**
 * Appends to transcripts, as one of many processes, and writes down what it did and what it was told. It may be killed or
 * stopped at any instruction, and the power may go.
 *
 * All share one session; each has one of its own as well. Every item has an id, every batch is sent twice, and what an earlier
 * incarnation of the same worker was not told of is sent once more. The record of a session counts the items of its transcript
 * `main`, in the commits that change them. One of the workers also removes the newest and the oldest items of the shared one, and
 * one only reads.
 *
 * The history is a file outside the store, one JSON array a line, each appended before and after the fact:
 *
 *   ["B", n, key, transcript, ids]         a batch is sent
 *   ["X", n, key, transcript, from, to]    items with these numbers are to be removed; the last one of an `n` counts
 *   ["A", n, time, sent]                   acknowledged; `sent` is [[id, seq], …] without what was left out
 *   ["N", n]                               nothing was written
 *   ["O", key, transcript, items]          items as a reader saw them, [[seq, id, revision], …]
 */
import { openSync, readFileSync, writeSync } from "node:fs";
import { openDirectoryStore } from "sessiondir";
import { seededRandom } from "sessiondir/testing";
import { argument, onMessage, say } from "./conversation.mjs";

const { path, history, slot, seed, lanes, reads, removes, options, mayFail } = argument;

const SHARED = "shared";
const OWN = `own:${slot}`;
const LIFE = "life";
/** Now and then an item is so long that it is a good part of a segment. */
const LONG = 20_000;
/** The shared transcript is not to grow for ever: from this length on its oldest items are removed. */
const SHARED_LENGTH = 400;

const random = seededRandom(seed);
const pick = (/** @type {number} */ count) => Math.floor(random() * count);
const turn = () => new Promise((resolve) => setImmediate(resolve));
const now = () => Number(process.hrtime.bigint());

const earlier = readEarlier();
const file = openSync(history, "a", 0o600);
const record = (/** @type {unknown[]} */ ...fields) => writeSync(file, `${JSON.stringify(fields)}\n`);
let { number } = earlier;
let finished = false;
const stop = new AbortController();

/** @typedef {import("sessiondir").Item<any>} Item */
/** @typedef {{ key: string, name: string, ids: string[] }} Batch */

/** @type {import("sessiondir").DirectorySessionStore<any>} */
const store = await openDirectoryStore(path, options).catch(giveUp);
say({ event: "open" });
const stopListening = onMessage(({ event }) => {
  if (event !== "finish") return;
  finished = true;
  stop.abort();
});
try {
  if (reads) await Promise.all([follow(), page()]);
  else {
    for (const batch of earlier.open) await send(batch);
    await Promise.all(Array.from({ length: lanes }, lane));
  }
} catch (error) {
  giveUp(error);
}
await store.close();
stopListening();
say({ event: "done" });

/** Once the disk is gone there is nothing left to do; anywhere else an error is one. @param {unknown} error @returns {never} */
function giveUp(error) {
  if (!mayFail) throw error;
  const { code, message } = /** @type {any} */ (error);
  say({ event: "failed", code: code ?? String(error), message });
  process.exit(3);
}

/** What an incarnation before this one began, and was not told the end of. */
function readEarlier() {
  /** @type {Map<number, Batch>} */
  const open = new Map();
  let number = 0;
  let text = "";
  try {
    text = readFileSync(history, "utf8");
  } catch {
    // This is the first one.
  }
  for (const line of text.split("\n").slice(0, -1)) {
    const [kind, n, key, name, ids] = JSON.parse(line);
    if (kind === "O") continue;
    if (kind === "B") open.set(n, { key, name, ids });
    if (kind === "A" || kind === "N") open.delete(n);
    number = Math.max(number, n);
  }
  return { number, open: [...open.values()] };
}

async function lane() {
  while (!finished) {
    if (pick(2) === 0) await turn();
    const chance = random();
    if (chance < 0.3) await twice(SHARED, "main");
    else if (chance < 0.6) await twice(OWN, "main");
    else if (chance < 0.75) await twice(OWN, "plain");
    else if (chance < 0.83) await live();
    else if (chance < 0.9) await compare([SHARED, OWN][pick(2)] ?? OWN);
    else if (chance < 0.93) await store.flush();
    else if (chance < 0.935) await store.checkpoint();
    if (removes && pick(8) === 0) await remove();
  }
}

/** @param {string} key @param {string} name */
async function twice(key, name) {
  const ids = Array.from({ length: 1 + pick(5) }, (_, index) => `${slot}.${number + 1}.${index}`);
  if (!(await send({ key, name, ids }))) return;
  const again = await send({ key, name, ids });
  if (again && again.length > 0 && key !== SHARED) throw new Error(`${key} took ${again.length} items again`); // nobody removes anything there
}

/** @param {string} id */
function itemOf(id) {
  return { by: id, text: "x".repeat(pick(60) === 0 ? LONG : pick(300)) };
}

/**
 * Sends a batch, counted by the record in the same commit, or alone.
 * @param {Batch} batch
 * @returns Numbers and ids of what was appended; undefined if nothing was written.
 */
async function send({ key, name, ids }) {
  const n = ++number;
  record("B", n, key, name, ids);
  try {
    const items = ids.map(itemOf);
    const appended =
      name === "main"
        ? await count(key, (tx) => tx.append(key, items, { ids }))
        : await store.append(key, items, { ids, transcript: name });
    const skipped = new Set(appended.skipped);
    const left = ids.filter((_, index) => !skipped.has(index));
    const sent = left.map((id, index) => [id, appended.first + index]);
    if (sent.length > 0 && appended.last - appended.first + 1 !== sent.length)
      throw new Error(`${key} has ${appended.first} to ${appended.last} for ${sent.length} items`);
    record("A", n, now(), sent);
    return sent;
  } catch (error) {
    refuse(n, error);
    return undefined;
  }
}

/** A write that lost against others a hundred times has written nothing. @param {number} n @param {unknown} error */
function refuse(n, error) {
  if (/** @type {any} */ (error).code !== "conflict") throw error;
  record("N", n);
}

/**
 * Changes the transcript `main` of a session, and the record that counts it, in one commit.
 * @template {{ readonly length: number } | undefined} R
 * @param {string} key
 * @param {(tx: Parameters<Parameters<typeof store.transact>[0]>[0]) => Promise<R>} change
 * @returns {Promise<R>}
 */
async function count(key, change) {
  const seen = { before: 0, counted: 0 };
  const after = await store.transact(async (tx) => {
    seen.before = (await tx.transcript(key))?.length ?? 0;
    const entry = await tx.get(key);
    seen.counted = entry?.length ?? 0;
    const changed = await change(tx);
    await tx.put(key, { ...entry, length: changed?.length ?? 0, updatedAt: number });
    return changed;
  });
  const { before, counted } = seen;
  if (before !== counted) throw new Error(`${key} has ${before} items, and its record counts ${counted}`);
  return after;
}

/** Removes the newest or the oldest items of the shared transcript. */
async function remove() {
  const n = ++number;
  try {
    await count(SHARED, async (tx) => {
      const { last = 0, length = 0 } = (await tx.transcript(SHARED)) ?? {};
      if (length > SHARED_LENGTH) {
        const [oldest] = (await tx.readItems(SHARED, { from: last - SHARED_LENGTH / 2, limit: 1 })).items;
        const beforeSeq = oldest?.seq ?? 1;
        record("X", n, SHARED, "main", 1, beforeSeq - 1);
        return await tx.trim(SHARED, { beforeSeq });
      }
      const afterSeq = Math.max(0, last - pick(8));
      record("X", n, SHARED, "main", afterSeq + 1, last);
      return await tx.truncate(SHARED, { afterSeq });
    });
    record("A", n, now(), []);
  } catch (error) {
    refuse(n, error);
  }
}

/** A session that is deleted and made again: all its items are of the record's life. */
async function live() {
  try {
    await store.transact(async (tx) => {
      const entry = await tx.get(LIFE);
      if (entry !== undefined && pick(4) === 0) return void (await tx.delete(LIFE));
      const born = entry?.born ?? `${slot}.${++number}`;
      const { length, last } = await tx.append(LIFE, [{ born }, { born }], { transcript: "of life" });
      await tx.put(LIFE, { born, updatedAt: number, length, last });
    });
    const { born, items, entry } = await store.transact(async (tx) => {
      const entry = await tx.get(LIFE);
      const { items } = await tx.readItems(LIFE, { transcript: "of life" });
      return { born: entry?.born, items, entry };
    });
    if (
      items.length !== (entry?.length ?? 0) ||
      items.some(({ seq, item }, at) => seq !== at + 1 || /** @type {any} */ (item).born !== born)
    )
      throw new Error(`${LIFE} of ${born} has ${entry?.length}: ${JSON.stringify(items.slice(0, 5))}`);
  } catch (error) {
    if (/** @type {any} */ (error).code !== "conflict") throw error;
  }
}

/** The record and the transcript as of one instant. @param {string} key */
async function compare(key) {
  try {
    const [counted, length] = await store.transact(async (tx) => [
      (await tx.get(key))?.length ?? 0,
      (await tx.transcript(key))?.length ?? 0,
    ]);
    if (counted !== length) throw new Error(`${key} has ${length} items, and its record counts ${counted}`);
  } catch (error) {
    if (/** @type {any} */ (error).code !== "conflict") throw error;
  }
}

/** Follows what is appended to the shared transcript: numbers go on without a gap, whatever is removed. */
async function follow() {
  let since = await store.revision();
  /** Number of the item that was appended last. @type {number | undefined} */
  let last;
  while (!finished) {
    try {
      for await (const change of store.watch({ since, prefix: SHARED, items: true, signal: stop.signal })) {
        const { transcript } = change;
        if (transcript?.first === undefined || transcript.items === undefined) continue;
        if (last !== undefined && transcript.first !== last + 1)
          throw new Error(`${transcript.first} was appended after ${last}`);
        last = transcript.last;
        record("O", SHARED, "main", transcript.items.map(asSeen));
      }
    } catch (error) {
      // It fell behind, or was stopped for so long that the log has moved on: that is allowed, and said.
      const { code, data } = /** @type {any} */ (error);
      if (code !== "revision_too_old") throw error;
      since = data.revision;
      last = undefined;
    }
  }
}

/** Reads the shared transcript meanwhile: its end backwards, all of it forwards. */
async function page() {
  while (!finished) {
    const newest = await store.readItems(SHARED, { backwards: true, limit: 1 + pick(60) });
    note(newest.items.toReversed());
    const all = [];
    for await (const item of store.iterateItems(SHARED, { pageItems: 1 + pick(100) })) all.push(item);
    note(all);
    await turn();
  }
}

/** @param {readonly Item[]} items In order. */
function note(items) {
  for (const [index, { seq }] of items.entries())
    if (index > 0 && seq <= (items[index - 1]?.seq ?? 0)) {
      const around = items
        .slice(Math.max(0, index - 5), index + 5)
        .map(({ seq, revision }) => `${seq}@${revision}`);
      throw new Error(`${seq} stands out of order: ${around.join(" ")}`);
    }
  if (items.length > 0) record("O", SHARED, "main", items.map(asSeen));
}

/** @param {Item} item */
function asSeen({ seq, id, revision, item }) {
  if (item.by !== id) throw new Error(`item ${seq} of ${id} is one of ${item.by}`);
  return [seq, id, revision];
}
