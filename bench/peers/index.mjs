// @ts-check
/** Who is measured, and what can be said of them before they are loaded. */

/** @typedef {import("./peer.mjs").Peer} Peer */

const BOTH = /** @type {const} */ (["os", "disk"]);
const SQLITE_TRANSCRIPTS =
  "a table of events, the key (session, seq), the event as JSON; an append is one prepared INSERT that finds the next seq";
const SQLITE_SETTINGS =
  "WAL, synchronous NORMAL (os) or FULL (disk), prepared statements, BEGIN IMMEDIATE, a JSON column, an index on updatedAt";

/** How gateways kept transcripts; it keeps nothing else. */
export const JSONL = "JSONL, appendFile";

/** What most of them are. @type {Omit<Peer, "name" | "short" | "settings" | "reads" | "load">} */
const USUAL = {
  durabilities: BOTH,
  records: true,
  transcripts: "",
  manyProcesses: true,
  newNode: false,
  noisy: false,
  slow: false,
  sessionsMax: Infinity,
  floor: false,
  untraceable: false,
};

/** @type {readonly Peer[]} */
export const PEERS = [
  {
    ...USUAL,
    name: "sessiondir",
    short: "sessiondir",
    settings: "directory store, all options at their defaults but durability",
    reads: "one shared, frozen object; big values are parsed when they are first touched",
    transcripts: "append, one item a call, without ids; transact with tx.append and tx.patch; iterateItems",
    load: () => import("./sessiondir.mjs"),
  },
  {
    ...USUAL,
    name: "better-sqlite3",
    short: "better-sqlite3",
    settings: SQLITE_SETTINGS,
    reads: "an object of its own, parsed on each read",
    transcripts: SQLITE_TRANSCRIPTS,
    load: async () => (await import("./better-sqlite3.mjs")).plain,
  },
  {
    ...USUAL,
    name: "better-sqlite3, caching",
    short: "SQLite, caching",
    settings: `${SQLITE_SETTINGS}; parsed entries are kept while PRAGMA data_version stays the same`,
    reads: "one shared object while no other process commits, everything parsed anew when one does",
    load: async () => (await import("./better-sqlite3.mjs")).caching,
  },
  {
    ...USUAL,
    name: "node:sqlite",
    short: "node:sqlite",
    settings: SQLITE_SETTINGS,
    reads: "an object of its own, parsed on each read",
    newNode: true,
    transcripts: SQLITE_TRANSCRIPTS,
    load: () => import("./node-sqlite.mjs"),
  },
  {
    ...USUAL,
    name: "lmdb",
    short: "lmdb",
    settings:
      "MessagePack with shared structures, noSync (os) or a synced commit (disk), synchronous transactions, an index on updatedAt",
    reads: "an object of its own, decoded on each read",
    transcripts:
      "the key [session, number] in a table of its own; an append looks for the last number and puts, in one transaction",
    load: () => import("./lmdb.mjs"),
  },
  {
    ...USUAL,
    name: "classic-level",
    short: "classic-level",
    settings:
      "JSON values, an index on updatedAt in the same batch, sync: false (os) or true (disk); one process only",
    reads: "an object of its own, parsed on each read",
    manyProcesses: false,
    load: () => import("./classic-level.mjs"),
  },
  {
    ...USUAL,
    name: "lock file per key",
    short: "lock per key",
    settings:
      "a folder a session: lock file made exclusively, temporary file, rename; disk: fsync of file and folder",
    reads: "one shared object while the file's mtime, size and inode stay the same",
    load: async () => (await import("./folders.mjs")).lockedFolders,
  },
  {
    ...USUAL,
    name: "folders + state.json",
    short: "folders + stamp",
    settings:
      "a folder a session and a stamp in state.json, both by temporary file and rename under one global lock file; disk: fsync of files and folders",
    reads: "one shared object while the stamp in state.json stays the same",
    slow: true,
    load: async () => (await import("./folders.mjs")).stampedFolders,
  },
  {
    ...USUAL,
    name: "sessions.json",
    short: "sessions.json",
    settings:
      "the whole store parsed, changed, written to a temporary file and renamed, under a lock file; reads cached by mtime; disk: fsync",
    reads:
      "one shared object while the file's mtime and size stay the same (gateways cloned the whole store)",
    slow: true,
    load: () => import("./sessions-json.mjs"),
  },
  {
    ...USUAL,
    name: JSONL,
    short: "JSONL",
    settings: "",
    reads: "",
    records: false,
    transcripts:
      "a file a session, a line an item: open, write, close with synchronous calls, as `appendFileSync` does; disk: fdatasync " +
      "in between. All items: the file is read, split into lines, each parsed; the newest: pieces of 64 KiB from the end",
    load: () => import("./jsonl.mjs"),
  },
  openclaw("2026.4.24", "JSON", {
    settings:
      "the released package: loadSessionStore, updateSessionStore; maintenance off. It syncs file and folder with every write, so it is the same for os and disk",
    durabilities: BOTH,
    reads: "a clone of the whole store, out of which one session is taken",
    sessionsMax: 10_000,
  }),
  openclaw("2026.9.6", "SQLite", {
    settings:
      "the released package: getSessionEntry, patchSessionEntry, upsertSessionEntry, deleteSessionEntry, listSessionEntries; maintenance off. Its database is set to WAL, synchronous NORMAL",
    durabilities: ["os"],
    reads: "a projection of its own on each read",
    sessionsMax: 10_000,
  }),
];

/**
 * @param {string} version
 * @param {"JSON" | "SQLite"} kind
 * @param {Pick<Peer, "settings" | "reads" | "durabilities" | "sessionsMax">} particulars
 * @returns {Peer}
 */
function openclaw(version, kind, particulars) {
  return {
    ...USUAL,
    name: `openclaw ${version} (${kind})`,
    short: `openclaw ${kind}`,
    newNode: true,
    noisy: true,
    slow: true,
    load: async () => (await import("./openclaw.mjs")).release(kind),
    ...particulars,
  };
}

export const CALLS = "floor: calls alone";
export const BARE_LOG = "floor: calls, JSON, checksum";
export const OPENING = "floor: calls of opening";
export const CLOCK = "floor: clock alone";
export const APPEND_ON_POOL = "append + fdatasync, thread pool";
export const APPEND_BLOCKING = "append + fdatasync, blocking";
export const OVERWRITE_ON_POOL = "overwrite + fdatasync, thread pool";

/** No stores, but the least that one of sessiondir's design has to do. @type {readonly Peer[]} */
export const FLOORS = [
  floor(
    CALLS,
    "bare calls of node:fs on one shared file. A read is a `pread` of 0 bytes at its end; an update is a `pread` of " +
      "what others appended, an append of 200 bytes and a `pread` of those, with «disk» an `fdatasync` on the thread pool",
    async () => (await import("./bare-calls.mjs")).calls,
  ),
  floor(
    BARE_LOG,
    "the same calls, and the least that makes a store of them: entries in a `Map`, the changed fields as a line of " +
      "JSON with a CRC-32, lines of other processes checked, parsed and applied",
    () => import("./bare-log.mjs"),
  ),
  floor(
    OPENING,
    "the very calls that sessiondir made from opening to its answer, made again with `node:fs` in a new process that " +
      "does nothing else",
    () => import("./recorded-opening.mjs"),
  ),
  floor(
    CLOCK,
    "as many processes do nothing but read the clock: the longest time between two readings is the scheduler's",
    async () => (await import("./bare-calls.mjs")).clock,
  ),
  floor(
    APPEND_ON_POOL,
    "an append of 200 bytes to one shared file, and `fdatasync` on the thread pool",
    async () => (await import("./bare-calls.mjs")).appendOnPool,
  ),
  floor(
    APPEND_BLOCKING,
    "the same with a blocking `fdatasync`",
    async () => (await import("./bare-calls.mjs")).appendBlocking,
  ),
  floor(
    OVERWRITE_ON_POOL,
    "200 bytes written over old ones in a file that does not grow, as in SQLite's write-ahead log when it is used again, " +
      "and `fdatasync` on the thread pool",
    async () => (await import("./bare-calls.mjs")).overwriteOnPool,
  ),
];

/** @param {string} name @param {string} settings @param {Peer["load"]} load @returns {Peer} */
function floor(name, settings, load) {
  const untraceable = [CLOCK, OVERWRITE_ON_POOL].includes(name);
  return { ...USUAL, name, short: name, settings, reads: "", floor: true, untraceable, load };
}

/** @param {string} name */
export function peerNamed(name) {
  const peer = [...PEERS, ...FLOORS].find((peer) => peer.name === name);
  if (peer === undefined) throw new RangeError(`no peer is called ${name}`);
  return peer;
}
