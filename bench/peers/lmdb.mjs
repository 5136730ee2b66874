// @ts-check
import { mkdirSync, readFileSync, watch } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

/**
 * @typedef {import("./peer.mjs").Entry} Entry
 * @typedef {import("./peer.mjs").Item} Item
 *
 * What is used of lmdb.
 * @typedef {object} Table
 * @property {(key: unknown) => any} get
 * @property {(key: unknown, value: unknown) => void} putSync
 * @property {(key: unknown) => void} removeSync
 * @property {(options?: object) => Iterable<{ key: any, value: any }>} getRange
 * @property {(options?: object) => Iterable<any>} getKeys
 * @typedef {Table & { transactionSync: <T>(work: () => T) => T, openDB: (options: object) => Table,
 *   resetReadTxn: () => void, close: () => Promise<void> }} Root
 */

const require = createRequire(import.meta.url);

export async function version() {
  require("lmdb");
  // The package does not export its own description.
  const path = new URL("../node_modules/lmdb/package.json", import.meta.url);
  return /** @type {string} */ (JSON.parse(readFileSync(path, "utf8")).version);
}

/** @param {string} folder @param {import("./peer.mjs").Durability} durability */
function openTables(folder, durability) {
  const { open } = /** @type {{ open: (options: object) => Root }} */ (require("lmdb"));
  const root = open({
    path: join(folder, "sessions.lmdb"),
    maxDbs: 3,
    ...(durability === "os" ? { noSync: true } : { overlappingSync: false }),
  });
  const sessions = root.openDB({ name: "sessions", sharedStructuresKey: Symbol.for("structures") });
  const items = root.openDB({ name: "items", sharedStructuresKey: Symbol.for("structures") });
  return { root, sessions, items, byUpdatedAt: root.openDB({ name: "byUpdatedAt" }) };
}

/**
 * @param {string} folder
 * @param {import("./peer.mjs").Durability} durability
 * @returns {Promise<import("./peer.mjs").OpenPeer>}
 */
export async function open(folder, durability) {
  const { root, sessions, items, byUpdatedAt } = openTables(folder, durability);
  /** @param {string} key @param {Entry | undefined} before @param {Entry | undefined} after */
  const write = (key, before, after) => {
    if (before !== undefined) byUpdatedAt.removeSync([before.updatedAt, key]);
    if (after === undefined) return sessions.removeSync(key);
    byUpdatedAt.putSync([after.updatedAt, key], true);
    sessions.putSync(key, after);
  };
  /** A read transaction is kept until the end of the turn; another process's commit must be seen at once. */
  const fresh = () => root.resetReadTxn();
  const range = (/** @type {object} */ options) =>
    Array.from(byUpdatedAt.getRange(options), ({ key: [, key] }) => ({ key, entry: sessions.get(key) }));
  return {
    get(key) {
      fresh();
      return sessions.get(key);
    },
    update: (key, change) =>
      root.transactionSync(() => {
        const before = sessions.get(key);
        write(key, before, change(before));
      }),
    put: (key, entry) => root.transactionSync(() => write(key, sessions.get(key), entry)),
    delete: (key) => root.transactionSync(() => write(key, sessions.get(key), undefined)),
    newest(count) {
      fresh();
      return range({ reverse: true, limit: count });
    },
    oldest(count) {
      fresh();
      return range({ limit: count });
    },
    all() {
      fresh();
      // The shared structures lie in the same table, under a key that is not a string.
      return Array.from(sessions.getRange({ start: "" }), ({ key, value }) => ({ key, entry: value }));
    },
    onChange(listener) {
      const watcher = watch(folder, listener);
      return () => watcher.close();
    },
    settle: async () => {},
    tidy: async () => {},
    checkpoints: () => 0,
    close: () => root.close(),
    transcripts: {
      append: (key, item) => root.transactionSync(() => putItem(items, key, item)),
      appendAndPatch: (key, item, patch) =>
        root.transactionSync(() => {
          putItem(items, key, item);
          const before = sessions.get(key);
          write(key, before, { ...before, ...patch });
        }),
      count(key) {
        fresh();
        return lastOf(items, key);
      },
      newest(key, limit) {
        fresh();
        const found = items.getRange({ start: [key, Infinity], end: [key, 0], reverse: true, limit });
        return Array.from(found, ({ value }) => value).reverse();
      },
      each(key, see) {
        fresh();
        for (const { value } of items.getRange({ start: [key, 0], end: [key, Infinity] })) see(value);
      },
    },
  };
}

/** @param {Table} items @param {string} key @returns {number} Of the last item; they have no gaps. */
function lastOf(items, key) {
  const [last] = items.getKeys({ start: [key, Infinity], end: [key, 0], reverse: true, limit: 1 });
  return last === undefined ? 0 : last[1];
}

/** @param {Table} items @param {string} key @param {Item} item */
function putItem(items, key, item) {
  items.putSync([key, lastOf(items, key) + 1], item);
}

/** @param {string} folder @param {Iterable<[string, Item]>} filling */
export async function fillItems(folder, filling) {
  const { root, items } = openTables(folder, "os");
  root.transactionSync(() => {
    for (const [key, item] of filling) putItem(items, key, item);
  });
  await root.close();
}

/** @param {string} folder @param {Iterable<[string, Entry]>} entries */
export async function fill(folder, entries) {
  mkdirSync(folder, { recursive: true });
  const { root, sessions, byUpdatedAt } = openTables(folder, "os");
  root.transactionSync(() => {
    for (const [key, entry] of entries) {
      sessions.putSync(key, entry);
      byUpdatedAt.putSync([entry.updatedAt, key], true);
    }
  });
  await root.close();
}
