// @ts-check
/** LevelDB: one process at a time may have it open. */
import { mkdirSync, watch } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

/**
 * @typedef {import("./peer.mjs").Entry} Entry
 *
 * What is used of classic-level.
 * @typedef {{ type: "put", key: string, value: string } | { type: "del", key: string }} Operation
 * @typedef {object} Level
 * @property {() => Promise<void>} open
 * @property {(key: string) => string | undefined} getSync
 * @property {(operations: Operation[], options: object) => Promise<void>} batch
 * @property {(options: object) => { all: () => Promise<[string, string][]> }} iterator
 * @property {() => Promise<void>} close
 */

const require = createRequire(import.meta.url);
const OPERATIONS_PER_BATCH = 1_000;

export async function version() {
  require("classic-level");
  return /** @type {string} */ (require("classic-level/package.json").version);
}

/** @param {string} folder */
async function openLevel(folder) {
  const { ClassicLevel } = /** @type {{ ClassicLevel: new (path: string) => Level }} */ (
    require("classic-level")
  );
  const level = new ClassicLevel(join(folder, "sessions.level"));
  await level.open();
  return level;
}

const sessionKey = (/** @type {string} */ key) => `s${key}`;
/** @param {Entry} entry @param {string} key */
const indexKey = (entry, key) => `u${String(entry.updatedAt).padStart(16, "0")}${key}`;

/**
 * @param {string} folder
 * @param {import("./peer.mjs").Durability} durability
 * @returns {Promise<import("./peer.mjs").OpenPeer>}
 */
export async function open(folder, durability) {
  const level = await openLevel(folder);
  const options = { sync: durability === "disk" };
  /** @param {string} key @returns {Entry | undefined} */
  const get = (key) => {
    const text = level.getSync(sessionKey(key));
    return text === undefined ? undefined : JSON.parse(text);
  };
  /** @param {string} key @param {Entry | undefined} before @param {Entry | undefined} after */
  const write = (key, before, after) => {
    /** @type {Operation[]} */
    const operations = [];
    if (before !== undefined) operations.push({ type: "del", key: indexKey(before, key) });
    if (after === undefined) operations.push({ type: "del", key: sessionKey(key) });
    else {
      operations.push(
        { type: "put", key: indexKey(after, key), value: "" },
        { type: "put", key: sessionKey(key), value: JSON.stringify(after) },
      );
    }
    return level.batch(operations, options);
  };
  const range = async (/** @type {object} */ options) => {
    const found = await level.iterator({ gte: "u", lt: "v", ...options }).all();
    return found.map(([index]) => {
      const key = index.slice(17);
      return { key, entry: /** @type {Entry} */ (get(key)) };
    });
  };
  return {
    get,
    // One update at a time: nobody else has it open, and the benchmark waits for each.
    update(key, change) {
      const before = /** @type {Entry} */ (get(key));
      return write(key, before, change(before));
    },
    put: (key, entry) => write(key, get(key), entry),
    delete: (key) => write(key, get(key), undefined),
    newest: (count) => range({ reverse: true, limit: count }),
    oldest: (count) => range({ limit: count }),
    async all() {
      const found = await level.iterator({ gte: "s", lt: "t" }).all();
      return found.map(([key, text]) => ({ key: key.slice(1), entry: JSON.parse(text) }));
    },
    onChange(listener) {
      const watcher = watch(folder, listener);
      return () => watcher.close();
    },
    settle: async () => {},
    tidy: async () => {},
    checkpoints: () => 0,
    close: () => level.close(),
  };
}

/** @param {string} folder @param {Iterable<[string, Entry]>} entries */
export async function fill(folder, entries) {
  mkdirSync(folder, { recursive: true });
  const level = await openLevel(folder);
  /** @type {Operation[]} */
  let operations = [];
  for (const [key, entry] of entries) {
    operations.push(
      { type: "put", key: indexKey(entry, key), value: "" },
      { type: "put", key: sessionKey(key), value: JSON.stringify(entry) },
    );
    if (operations.length < OPERATIONS_PER_BATCH) continue;
    await level.batch(operations, {});
    operations = [];
  }
  await level.batch(operations, {});
  await level.close();
}
