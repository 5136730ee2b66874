// @ts-check
/**
 * A folder a session with a meta.json in it, in the two forms that were proposed for gateways.
 *
 * With a stamp: `state.json` holds a number that every write changes, under one global lock; a cache is valid while
 * the stamp is the same. With a lock file per key and no stamp: a cached session is valid while its file looks the same.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFile, syncFolder, withLockFile } from "./replace-file.mjs";

/**
 * @typedef {import("./peer.mjs").Entry} Entry
 * @typedef {import("./peer.mjs").Durability} Durability
 *
 * @typedef {object} Form
 * @property {(key: string) => Entry | undefined} get
 * @property {(key: string, work: () => void) => Promise<void>} exclusively Nobody else writes this session meanwhile.
 * @property {() => void} changed After a write, still with the lock.
 */

/** As gateways polled their store's lock. */
const GLOBAL_LOCK_POLL_MS = 25;
const KEY_LOCK_POLL_MS = 1;

const version = async () => "own reproduction";

export const stampedFolders = { version, fill, open: openWith(stamped) };
export const lockedFolders = { version, fill, open: openWith(locked) };

/** @param {string} folder @param {string} key */
const folderOf = (folder, key) => join(folder, "sessions.d", encodeURIComponent(key));
/** @param {string} folder @param {string} key */
const fileOf = (folder, key) => join(folderOf(folder, key), "meta.json");

/** @param {string} path @returns {Entry | undefined} */
function readEntry(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "ENOENT") return undefined;
    throw error;
  }
}

/** @param {string} folder @param {boolean} durable @returns {Form} */
function stamped(folder, durable) {
  const state = join(folder, "state.json");
  /** @type {Map<string, Entry>} */
  const cache = new Map();
  let stamp = "";
  const stampNow = () => readFileSync(state, "utf8");
  return {
    get(key) {
      const current = stampNow();
      if (current !== stamp) {
        cache.clear();
        stamp = current;
      }
      let entry = cache.get(key);
      if (entry === undefined && (entry = readEntry(fileOf(folder, key))) !== undefined)
        cache.set(key, entry);
      return entry;
    },
    exclusively: (_key, work) => withLockFile(join(folder, "lock"), GLOBAL_LOCK_POLL_MS, work),
    changed() {
      const { stamp } = /** @type {{ stamp: number }} */ (JSON.parse(stampNow()));
      replaceFile(state, JSON.stringify({ stamp: stamp + 1 }), durable);
    },
  };
}

/** @param {string} folder @returns {Form} */
function locked(folder) {
  /** @type {Map<string, { look: string, entry: Entry }>} */
  const cache = new Map();
  return {
    get(key) {
      const path = fileOf(folder, key);
      const status = statSync(path, { throwIfNoEntry: false });
      if (status === undefined) return undefined;
      const look = `${status.mtimeMs} ${status.size} ${status.ino}`;
      const cached = cache.get(key);
      if (cached?.look === look) return cached.entry;
      const entry = readEntry(path);
      if (entry !== undefined) cache.set(key, { look, entry });
      return entry;
    },
    exclusively: (key, work) =>
      withLockFile(join(folder, "locks", encodeURIComponent(key)), KEY_LOCK_POLL_MS, work),
    changed() {},
  };
}

/**
 * @param {(folder: string, durable: boolean) => Form} make
 * @returns {import("./peer.mjs").PeerModule["open"]}
 */
function openWith(make) {
  return async (folder, durability) => {
    const durable = durability === "disk";
    const form = make(folder, durable);
    const { get } = form;
    const all = () =>
      readdirSync(join(folder, "sessions.d")).flatMap((name) => {
        const key = decodeURIComponent(name);
        const entry = get(key);
        return entry === undefined ? [] : [{ key, entry }];
      });
    return {
      get,
      update: (key, change) =>
        form.exclusively(key, () => {
          // Never from the cache: that was how updates got lost.
          const next = change(/** @type {Entry} */ (readEntry(fileOf(folder, key))));
          replaceFile(fileOf(folder, key), JSON.stringify(next), durable);
          form.changed();
        }),
      put: (key, entry) =>
        form.exclusively(key, () => {
          if (mkdirSync(folderOf(folder, key), { recursive: true }) !== undefined && durable)
            syncFolder(join(folder, "sessions.d"));
          replaceFile(fileOf(folder, key), JSON.stringify(entry), durable);
          form.changed();
        }),
      delete: (key) =>
        form.exclusively(key, () => {
          rmSync(folderOf(folder, key), { recursive: true, force: true });
          if (durable) syncFolder(join(folder, "sessions.d"));
          form.changed();
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
        // The stamp, or the lock of whichever key: both lie in folders that do not grow with the store.
        const watchers = [watch(folder, listener), watch(join(folder, "locks"), listener)];
        return () => watchers.forEach((watcher) => watcher.close());
      },
      settle: async () => {},
      tidy: async () => {},
      checkpoints: () => 0,
      close: async () => {},
    };
  };
}

/** @param {string} folder @param {Iterable<[string, Entry]>} entries */
async function fill(folder, entries) {
  mkdirSync(join(folder, "locks"), { recursive: true });
  writeFileSync(join(folder, "state.json"), '{"stamp":1}');
  for (const [key, entry] of entries) {
    mkdirSync(folderOf(folder, key), { recursive: true });
    writeFileSync(fileOf(folder, key), JSON.stringify(entry));
  }
}
