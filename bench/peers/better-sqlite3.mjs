// @ts-check
import { createRequire } from "node:module";
import { BUSY_TIMEOUT_MS, sqlitePeer } from "./sqlite.mjs";

/**
 * What is used of better-sqlite3: it has no types of its own.
 * @typedef {{ pluck(): Statement, get(...values: unknown[]): unknown, all(...values: unknown[]): unknown[],
 *   run(...values: unknown[]): unknown, iterate(...values: unknown[]): Iterable<unknown> }} Statement
 * @typedef {{ prepare(sql: string): Statement, exec(sql: string): void, close(): void }} Database
 */

const require = createRequire(import.meta.url);

/** @param {string} path @returns {import("./sqlite.mjs").Driver} */
function openDatabase(path) {
  const Database = /** @type {new (path: string, options?: object) => Database} */ (
    require("better-sqlite3")
  );
  const db = new Database(path, { timeout: BUSY_TIMEOUT_MS });
  return {
    prepare: (sql) => db.prepare(sql),
    prepareValue(sql) {
      const statement = db.prepare(sql).pluck();
      return (...values) => statement.get(...values);
    },
    exec: (sql) => db.exec(sql),
    close: () => db.close(),
  };
}

async function version() {
  const db = openDatabase(":memory:");
  const sqlite = db.prepareValue("SELECT sqlite_version()", "")();
  db.close();
  return `${require("better-sqlite3/package.json").version}, SQLite ${String(sqlite)}`;
}

export const plain = { version, ...sqlitePeer(openDatabase, false) };
export const caching = { version, ...sqlitePeer(openDatabase, true) };
