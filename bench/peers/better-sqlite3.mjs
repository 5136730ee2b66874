// @ts-check
/**
 * better-sqlite3 as its documentation recommends it for one writer at a time per transaction: WAL, synchronous NORMAL
 * (a killed process) or FULL (a power cut), prepared statements, one JSON column, an index on updatedAt.
 *
 * Two forms. The plain one selects and parses on every read. The caching one keeps parsed entries and asks
 * `PRAGMA data_version` before each read whether another connection has committed, the cheapest check there is; it
 * drops everything if so.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {import("./peer.mjs").Entry} Entry
 *
 * What is used of better-sqlite3: it has no types of its own.
 * @typedef {{ pluck(): Statement, get(...values: unknown[]): unknown, all(...values: unknown[]): unknown[],
 *   run(...values: unknown[]): unknown }} Statement
 * @typedef {object} Database
 * @property {(sql: string) => Statement} prepare
 * @property {(sql: string) => void} exec
 * @property {(pragma: string) => unknown} pragma
 * @property {<Args extends unknown[], R>(work: (...args: Args) => R) => ((...args: Args) => R) &
 *   { immediate: (...args: Args) => R }} transaction
 * @property {() => void} close
 */

/** A variable, or the compiler would look for types that are not there before the peers are installed. */
const MODULE = "better-sqlite3";

const BUSY_TIMEOUT_MS = 20_000;

/** @type {(path: string) => Database} */
let openDatabase = () => {
  throw new Error("better-sqlite3 is not loaded");
};

/** @returns {Promise<string | undefined>} Why it cannot be measured. */
export async function loadBetterSqlite3() {
  try {
    /** @type {{ default: new (path: string, options?: object) => Database }} */
    const { default: Database } = await import(MODULE);
    openDatabase = (path) => new Database(path, { timeout: BUSY_TIMEOUT_MS });
    new Database(":memory:").close();
    return undefined;
  } catch (error) {
    return /** @type {Error} */ (error).message.replace(/\s+/g, " ").slice(0, 300);
  }
}

export const betterSqlite3 = makePeer("better-sqlite3", false);
export const betterSqlite3Caching = makePeer("better-sqlite3, caching", true);

/**
 * @param {string} name
 * @param {boolean} caches
 * @returns {import("./peer.mjs").Peer}
 */
function makePeer(name, caches) {
  return {
    name,
    settings:
      "WAL, synchronous NORMAL (os) or FULL (disk), prepared statements, BEGIN IMMEDIATE, a JSON column, an index on " +
      (caches ? "updatedAt; parsed entries are kept and checked by data_version" : "updatedAt"),
    open: async (folder, durability) => openPeer(folder, durability, caches),
    async fill(folder, entries) {
      mkdirSync(folder, { recursive: true });
      const db = openSessions(folder, "os");
      const insert = db.prepare("INSERT INTO sessions (key, updatedAt, entry) VALUES (?, ?, ?)");
      db.transaction(() => {
        for (const [key, entry] of entries) insert.run(key, entry.updatedAt, JSON.stringify(entry));
      })();
      db.pragma("wal_checkpoint(TRUNCATE)");
      db.close();
    },
  };
}

/**
 * @param {string} folder
 * @param {import("./peer.mjs").Durability} durability
 */
function openSessions(folder, durability) {
  const db = openDatabase(join(folder, "sessions.sqlite"));
  db.pragma("journal_mode = WAL");
  db.pragma(`synchronous = ${durability === "disk" ? "FULL" : "NORMAL"}`);
  db.exec(
    "CREATE TABLE IF NOT EXISTS sessions (key TEXT PRIMARY KEY, updatedAt INTEGER NOT NULL, entry TEXT NOT NULL) " +
      "WITHOUT ROWID; CREATE INDEX IF NOT EXISTS byUpdatedAt ON sessions (updatedAt)",
  );
  return db;
}

/**
 * @param {string} folder
 * @param {import("./peer.mjs").Durability} durability
 * @param {boolean} caches
 * @returns {import("./peer.mjs").OpenPeer}
 */
function openPeer(folder, durability, caches) {
  const db = openSessions(folder, durability);
  const select = db.prepare("SELECT entry FROM sessions WHERE key = ?").pluck();
  const write = db.prepare("UPDATE sessions SET updatedAt = ?, entry = ? WHERE key = ?");
  const dataVersion = db.prepare("PRAGMA data_version").pluck();
  const newest = db.prepare("SELECT key, entry FROM sessions ORDER BY updatedAt DESC LIMIT ?");
  const all = db.prepare("SELECT key, entry FROM sessions ORDER BY key");
  /** @type {Map<string, Entry>} */
  const cache = new Map();
  let version = dataVersion.get();

  /** @param {string} key @returns {Entry | undefined} */
  const read = (key) => {
    const text = select.get(key);
    return text === undefined ? undefined : JSON.parse(/** @type {string} */ (text));
  };
  /** @param {string} key @returns {Entry | undefined} */
  const readCached = (key) => {
    const current = dataVersion.get();
    if (current !== version) {
      cache.clear();
      version = current;
    }
    let entry = cache.get(key);
    if (entry === undefined && (entry = read(key)) !== undefined) cache.set(key, entry);
    return entry;
  };
  const get = caches ? readCached : read;
  const parsed = (/** @type {unknown} */ row) => {
    const { key, entry } = /** @type {{ key: string, entry: string }} */ (row);
    return { key, entry: /** @type {Entry} */ (JSON.parse(entry)) };
  };
  const update = db.transaction(
    (/** @type {string} */ key, /** @type {(entry: Entry) => Entry} */ change) => {
      const next = change(/** @type {Entry} */ (get(key)));
      write.run(next.updatedAt, JSON.stringify(next), key);
      return next;
    },
  ).immediate;

  return {
    get,
    update(key, change) {
      const next = update(key, change);
      if (caches) cache.set(key, next);
    },
    newest: (count) => newest.all(count).map(parsed),
    all: () => all.all().map(parsed),
    settle: async () => void db.pragma("wal_checkpoint(PASSIVE)"),
    tidy: async () => void db.pragma("wal_checkpoint(TRUNCATE)"),
    segments: () => 0,
    close: async () => db.close(),
  };
}
