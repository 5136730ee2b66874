// @ts-check
/**
 * SQLite as its documentation recommends it for several processes: WAL, synchronous NORMAL (survives a killed process)
 * or FULL (survives a power cut), prepared statements, BEGIN IMMEDIATE, one JSON column, an index on updatedAt.
 *
 * Two forms. The plain one selects and parses on every read. The caching one keeps parsed entries and asks
 * `PRAGMA data_version` before each read whether another connection has committed, the cheapest check there is; it
 * drops everything if so.
 */
import { mkdirSync, watch } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {import("./peer.mjs").Entry} Entry
 * @typedef {import("./peer.mjs").KeyedEntry} KeyedEntry
 * @typedef {import("./peer.mjs").Item} Item
 *
 * @typedef {object} Driver What is different from one package to the other.
 * @property {(sql: string) => { all: (...values: any[]) => unknown[], run: (...values: any[]) => unknown,
 *   iterate: (...values: any[]) => Iterable<unknown> }} prepare
 * @property {(sql: string, column: string) => (...values: any[]) => unknown} prepareValue One value of one row.
 * @property {(sql: string) => void} exec
 * @property {() => void} close
 */

export const BUSY_TIMEOUT_MS = 20_000;

/**
 * @param {(path: string) => Driver} openDatabase
 * @param {boolean} caches
 * @returns {Omit<Required<import("./peer.mjs").PeerModule>, "version">}
 */
export function sqlitePeer(openDatabase, caches) {
  return {
    open: async (folder, durability) =>
      openPeer(openSessions(openDatabase, folder, durability), folder, caches),
    async fill(folder, entries) {
      mkdirSync(folder, { recursive: true });
      const db = openSessions(openDatabase, folder, "os");
      const insert = db.prepare("INSERT INTO sessions (key, updatedAt, entry) VALUES (?, ?, ?)");
      db.exec("BEGIN IMMEDIATE");
      for (const [key, entry] of entries) insert.run(key, entry.updatedAt, JSON.stringify(entry));
      db.exec("COMMIT");
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      db.close();
    },
    async fillItems(folder, items) {
      const db = openSessions(openDatabase, folder, "os");
      const { append } = transcriptsOf(db);
      db.exec("BEGIN IMMEDIATE");
      for (const [key, item] of items) void append(key, item);
      db.exec("COMMIT");
      db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      db.close();
    },
  };
}

/**
 * @param {(path: string) => Driver} openDatabase
 * @param {string} folder
 * @param {import("./peer.mjs").Durability} durability
 */
function openSessions(openDatabase, folder, durability) {
  const db = openDatabase(join(folder, "sessions.sqlite"));
  db.exec("PRAGMA journal_mode = WAL");
  db.exec(`PRAGMA synchronous = ${durability === "disk" ? "FULL" : "NORMAL"}`);
  db.exec(
    "CREATE TABLE IF NOT EXISTS sessions (key TEXT PRIMARY KEY, updatedAt INTEGER NOT NULL, entry TEXT NOT NULL) " +
      "WITHOUT ROWID; CREATE INDEX IF NOT EXISTS byUpdatedAt ON sessions (updatedAt); " +
      // Rows of 1 KB are too long for a table without rowids: most of each would lie on a page of its own.
      "CREATE TABLE IF NOT EXISTS events (session TEXT NOT NULL, seq INTEGER NOT NULL, event TEXT NOT NULL, " +
      "PRIMARY KEY (session, seq))",
  );
  return db;
}

/**
 * @param {Driver} db
 * @param {string} folder
 * @param {boolean} caches
 * @returns {import("./peer.mjs").OpenPeer}
 */
function openPeer(db, folder, caches) {
  const select = db.prepareValue("SELECT entry FROM sessions WHERE key = ?", "entry");
  const write = db.prepare("UPDATE sessions SET updatedAt = ?, entry = ? WHERE key = ?");
  const upsert = db.prepare(
    "INSERT INTO sessions (key, updatedAt, entry) VALUES (?, ?, ?) " +
      "ON CONFLICT (key) DO UPDATE SET updatedAt = excluded.updatedAt, entry = excluded.entry",
  );
  const remove = db.prepare("DELETE FROM sessions WHERE key = ?");
  const newest = db.prepare("SELECT key, entry FROM sessions ORDER BY updatedAt DESC LIMIT ?");
  const oldest = db.prepare("SELECT key, entry FROM sessions ORDER BY updatedAt LIMIT ?");
  const all = db.prepare("SELECT key, entry FROM sessions ORDER BY key");
  const begin = db.prepare("BEGIN IMMEDIATE");
  const commit = db.prepare("COMMIT");
  const rollback = db.prepare("ROLLBACK");
  const cache = new ParsedEntries(db);

  /** @param {string} key @returns {Entry | undefined} */
  const read = (key) => {
    const text = select(key);
    return text === undefined ? undefined : JSON.parse(/** @type {string} */ (text));
  };
  const get = caches ? (/** @type {string} */ key) => cache.get(key, read) : read;

  return {
    get,
    update(key, change) {
      begin.run();
      try {
        const next = change(/** @type {Entry} */ (get(key)));
        write.run(next.updatedAt, JSON.stringify(next), key);
        commit.run();
        if (caches) cache.set(key, next);
      } catch (error) {
        rollback.run();
        throw error;
      }
    },
    put(key, entry) {
      upsert.run(key, entry.updatedAt, JSON.stringify(entry));
      if (caches) cache.set(key, entry);
    },
    delete(key) {
      remove.run(key);
      cache.delete(key);
    },
    newest: (count) => newest.all(count).map(parsed),
    oldest: (count) => oldest.all(count).map(parsed),
    all: () => all.all().map(parsed),
    onChange(listener) {
      // Every commit writes to the log file beside the database.
      const watcher = watch(folder, listener);
      return () => watcher.close();
    },
    settle: async () => db.exec("PRAGMA wal_checkpoint(PASSIVE)"),
    tidy: async () => db.exec("PRAGMA wal_checkpoint(TRUNCATE)"),
    checkpoints: () => 0,
    close: async () => db.close(),
    transcripts: transcriptsOf(db),
  };
}

/** @param {Driver} db @returns {import("./peer.mjs").OpenTranscripts} */
function transcriptsOf(db) {
  const insert = db.prepare(
    "INSERT INTO events (session, seq, event) " +
      "VALUES (?, (SELECT COALESCE(MAX(seq), 0) + 1 FROM events WHERE session = ?), ?)",
  );
  const patch = db.prepare("UPDATE sessions SET updatedAt = ?, entry = json_patch(entry, ?) WHERE key = ?");
  const newest = db.prepare("SELECT event FROM events WHERE session = ? ORDER BY seq DESC LIMIT ?");
  const all = db.prepare("SELECT event FROM events WHERE session = ? ORDER BY seq");
  const count = db.prepareValue("SELECT COUNT(*) AS count FROM events WHERE session = ?", "count");
  const [begin, commit, rollback] = ["BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"].map((sql) => db.prepare(sql));
  /** @param {unknown} row @returns {Item} */
  const itemIn = (row) => JSON.parse(/** @type {{ event: string }} */ (row).event);
  /** @param {string} key @param {Item} item */
  const append = (key, item) => void insert.run(key, key, JSON.stringify(item));
  return {
    append,
    appendAndPatch(key, item, fields) {
      begin?.run();
      try {
        append(key, item);
        patch.run(fields.updatedAt, JSON.stringify(fields), key);
        commit?.run();
      } catch (error) {
        rollback?.run();
        throw error;
      }
    },
    count: (key) => Number(count(key)),
    newest: (key, limit) => newest.all(key, limit).map(itemIn).reverse(),
    each(key, see) {
      for (const row of all.iterate(key)) see(itemIn(row));
    },
  };
}

/** @param {unknown} row @returns {KeyedEntry} */
function parsed(row) {
  const { key, entry } = /** @type {{ key: string, entry: string }} */ (row);
  return { key, entry: JSON.parse(entry) };
}

class ParsedEntries {
  /** @readonly @type {Map<string, Entry>} */
  #entries = new Map();
  /** @readonly */
  #current;
  /** @type {unknown} */
  #version;

  /** @param {Driver} db */
  constructor(db) {
    this.#current = db.prepareValue("PRAGMA data_version", "data_version");
  }

  /** @param {string} key @param {(key: string) => Entry | undefined} read */
  get(key, read) {
    const version = this.#current();
    if (version !== this.#version) {
      this.#entries.clear();
      this.#version = version;
    }
    let entry = this.#entries.get(key);
    if (entry === undefined && (entry = read(key)) !== undefined) this.#entries.set(key, entry);
    return entry;
  }

  /** @param {string} key @param {Entry} entry */
  set(key, entry) {
    this.#entries.set(key, entry);
  }

  /** @param {string} key */
  delete(key) {
    this.#entries.delete(key);
  }
}
