// @ts-check
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
// bench/ is a package of its own, from which the one above it cannot be imported by name.
import { openDirectoryStore } from "../../dist/index.js";
import { openDirectoryStoreOn } from "../../dist/testing/index.js";
// Not public, and needed only to make big stores quickly.
import { nodeFileSystem } from "../../dist/fs/node-file-system.js";
import { systemRuntime } from "../../dist/runtime.js";

/** @typedef {import("./peer.mjs").Entry} Entry */

const SESSIONS_PER_TRANSACTION = 500;

/** @type {import("./peer.mjs").Peer} */
export const sessiondir = {
  name: "sessiondir",
  settings: "directory store, all options at their defaults but durability",

  async open(folder, durability) {
    const store = /** @type {import("../../dist/index.js").DirectorySessionStore<Entry>} */ (
      await openDirectoryStore(join(folder, "sessions.d"), { durability })
    );
    return {
      get: (key) => store.getSync(key),
      update: (key, change) => store.update(key, (entry) => change(/** @type {Entry} */ (entry))),
      newest: (count) => store.listSync({ orderBy: "updatedAt", descending: true, limit: count }).sessions,
      all: () => store.listSync().sessions,
      settle: () => store.flush(),
      tidy: () => store.checkpoint(),
      segments: () => highestSegment(folder),
      close: () => store.close(),
    };
  },

  async fill(folder, entries) {
    mkdirSync(folder, { recursive: true });
    /** @type {import("../../dist/index.js").DirectorySessionStore<Entry>} */
    const store = await openDirectoryStoreOn(withoutSync(), systemRuntime, join(folder, "sessions.d"), {
      durability: "os",
      flushDelayMs: 3_600_000,
    });
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
  },
};

/** A hundred thousand files that are synced one by one take minutes, and nobody cuts the power. */
function withoutSync() {
  const later = { ...nodeFileSystem.later, fsync: async () => {}, fdatasync: async () => {} };
  return { ...nodeFileSystem, fsync: () => {}, fdatasync: () => {}, later };
}

/** @param {string} folder */
function highestSegment(folder) {
  const names = readdirSync(join(folder, "sessions.d/.store/log"));
  return Math.max(...names.map((name) => Number.parseInt(name, 10)));
}
