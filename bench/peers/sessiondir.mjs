// @ts-check
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
// bench/ is a package of its own, from which the one above it cannot be imported by name.
import { openDirectoryStore } from "../../dist/index.js";

/**
 * @typedef {import("./peer.mjs").Entry} Entry
 * @typedef {import("./peer.mjs").Item} Item
 */

const SESSIONS_PER_TRANSACTION = 500;

export async function version() {
  return "this tree";
}

/**
 * @param {string} folder
 * @param {import("./peer.mjs").Durability} durability
 * @returns {Promise<import("./peer.mjs").OpenPeer>}
 */
export async function open(folder, durability) {
  const store = /** @type {import("../../dist/index.js").DirectorySessionStore<Entry>} */ (
    await openDirectoryStore(join(folder, "sessions.d"), { durability })
  );
  const list = (/** @type {boolean} */ descending, /** @type {number} */ limit) =>
    store.listSync({ orderBy: "updatedAt", descending, limit }).sessions;
  return {
    get: (key) => store.getSync(key),
    update: (key, change) => store.update(key, (entry) => change(/** @type {Entry} */ (entry))),
    put: (key, entry) => store.put(key, entry),
    delete: (key) => store.delete(key),
    newest: (count) => list(true, count),
    oldest: (count) => list(false, count),
    all: () => store.listSync().sessions,
    onChange(listener) {
      const stop = new AbortController();
      void hear(store.watch({ signal: stop.signal }), listener);
      return () => stop.abort();
    },
    settle: () => store.flush(),
    tidy: () => store.checkpoint(),
    checkpoints: () => lowestSegment(folder),
    close: () => store.close(),
    transcripts: transcriptsOf(store),
  };
}

/**
 * @param {import("../../dist/index.js").DirectorySessionStore<Entry>} store
 * @returns {import("./peer.mjs").OpenTranscripts}
 */
function transcriptsOf(store) {
  return {
    append: (key, item) => store.append(key, [item]),
    appendAndPatch: (key, item, patch) =>
      store.transact(async (tx) => {
        await tx.append(key, [item]);
        await tx.patch(key, patch);
      }),
    count: async (key) => (await store.transcript(key))?.length ?? 0,
    async newest(key, limit) {
      const { items } = await store.readItems(key, { backwards: true, limit });
      return items.map(({ item }) => /** @type {Item} */ (item)).reverse();
    },
    async each(key, see) {
      for await (const { item } of store.iterateItems(key)) see(/** @type {Item} */ (item));
    },
  };
}

/** @param {AsyncIterable<unknown>} changes @param {() => void} listener */
async function hear(changes, listener) {
  for await (const _ of changes) listener();
}

/** @param {string} folder @param {Iterable<[string, Entry]>} entries */
export async function fill(folder, entries) {
  mkdirSync(folder, { recursive: true });
  const store = await openWithoutSync(folder);
  /** @type {[string, Entry][]} */
  let batch = [];
  const put = async () => {
    const sessions = batch;
    batch = [];
    await store.transact(async (tx) => {
      for (const [key, entry] of sessions) await tx.put(key, entry);
    });
  };
  for (const session of entries) {
    batch.push(session);
    if (batch.length === SESSIONS_PER_TRANSACTION || session[1].skillsSnapshot !== undefined) await put();
  }
  await put();
  await store.checkpoint();
  await store.close();
}

/** @param {string} folder @param {Iterable<[string, Item]>} items */
export async function fillItems(folder, items) {
  const store = await openWithoutSync(folder);
  for (const [key, item] of items) await store.append(key, [item]);
  await store.checkpoint();
  await store.close();
}

/**
 * A hundred thousand files that are synced one by one take minutes, and nobody cuts the power.
 * @param {string} folder
 * @returns {Promise<import("../../dist/index.js").DirectorySessionStore<Entry>>}
 */
async function openWithoutSync(folder) {
  // Not for production: a program that uses the store does not load it.
  const { nodeFileSystem, openDirectoryStoreOn, systemRuntime } = await import("../../dist/testing/index.js");
  const later = { ...nodeFileSystem.later, fsync: async () => {}, fdatasync: async () => {} };
  const fs = { ...nodeFileSystem, fsync: () => {}, fdatasync: () => {}, later };
  const options = { durability: /** @type {const} */ ("os"), flushDelayMs: 3_600_000 };
  return openDirectoryStoreOn(fs, systemRuntime, join(folder, "sessions.d"), options);
}

/** A segment is removed when all of it is in the files. @param {string} folder */
function lowestSegment(folder) {
  const names = readdirSync(join(folder, "sessions.d/.store/log"));
  return Math.min(...names.map((name) => Number.parseInt(name, 10)).filter((number) => number > 0));
}
