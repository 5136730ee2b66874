// @ts-check
/**
 * One `sessions.json` as gateways kept it: every write parses the whole store again under a lock file, changes it,
 * prints it with two spaces, writes a temporary file and renames it. Reads are cached by mtime and size. It is kinder
 * than the gateways were: reads are not cloned, and nothing is normalized on the way.
 */
import { mkdirSync, readFileSync, statSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFile, withLockFile } from "./replace-file.mjs";

/** @typedef {import("./peer.mjs").Entry} Entry */
/** @typedef {Record<string, any>} Store Of entries. */

/** As gateways polled. */
const LOCK_POLL_MS = 25;

export async function version() {
  return "own reproduction";
}

/**
 * @param {string} folder
 * @param {import("./peer.mjs").Durability} durability
 * @returns {Promise<import("./peer.mjs").OpenPeer>}
 */
export async function open(folder, durability) {
  const path = join(folder, "sessions.json");
  const durable = durability === "disk";
  let cached = { mtimeMs: -1, size: -1, store: /** @type {Store} */ ({}) };
  const load = () => {
    const { mtimeMs, size } = statSync(path);
    if (mtimeMs !== cached.mtimeMs || size !== cached.size)
      cached = { mtimeMs, size, store: JSON.parse(readFileSync(path, "utf8")) };
    return cached.store;
  };
  /** @param {(store: Store) => void} change */
  const write = (change) =>
    withLockFile(`${path}.lock`, LOCK_POLL_MS, () => {
      /** @type {Store} */
      const store = JSON.parse(readFileSync(path, "utf8"));
      change(store);
      replaceFile(path, JSON.stringify(store, null, 2), durable);
      const { mtimeMs, size } = statSync(path);
      cached = { mtimeMs, size, store };
    });
  const all = () => Object.entries(load()).map(([key, entry]) => ({ key, entry }));
  return {
    get: (key) => load()[key],
    update: (key, change) =>
      write((store) => {
        store[key] = change(/** @type {Entry} */ (store[key]));
      }),
    put: (key, entry) =>
      write((store) => {
        store[key] = entry;
      }),
    delete: (key) =>
      write((store) => {
        delete store[key];
      }),
    newest: (count) =>
      all()
        .sort((a, b) => b.entry.updatedAt - a.entry.updatedAt)
        .slice(0, count),
    oldest: (count) =>
      all()
        .sort((a, b) => a.entry.updatedAt - b.entry.updatedAt)
        .slice(0, count),
    all,
    onChange(listener) {
      const watcher = watch(folder, listener);
      return () => watcher.close();
    },
    settle: async () => {},
    tidy: async () => {},
    checkpoints: () => 0,
    close: async () => {},
  };
}

/** @param {string} folder @param {Iterable<[string, Entry]>} entries */
export async function fill(folder, entries) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "sessions.json"), JSON.stringify(Object.fromEntries(entries), null, 2));
}
