// @ts-check
/** The SQLite that comes with Node since 22.5, in the newer Node that the benchmark brings where it must. */
import { createRequire } from "node:module";
import { BUSY_TIMEOUT_MS, sqlitePeer } from "./sqlite.mjs";

/**
 * What is used of node:sqlite, which the types of the oldest supported Node do not know.
 * @typedef {{ get(...values: any[]): Record<string, unknown> | undefined, all(...values: any[]): unknown[],
 *   run(...values: any[]): unknown, iterate(...values: any[]): Iterable<unknown> }} Statement
 * @typedef {{ prepare(sql: string): Statement, exec(sql: string): void, close(): void }} DatabaseSync
 */

const require = createRequire(import.meta.url);

/** @param {string} path @returns {import("./sqlite.mjs").Driver} */
function openDatabase(path) {
  const module = /** @type {{ DatabaseSync: new (path: string, options: object) => DatabaseSync }} */ (
    require("node:sqlite")
  );
  const db = new module.DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  return {
    prepare: (sql) => db.prepare(sql),
    prepareValue(sql, column) {
      const statement = db.prepare(sql);
      return (...values) => statement.get(...values)?.[column];
    },
    exec: (sql) => db.exec(sql),
    close: () => db.close(),
  };
}

export async function version() {
  const db = openDatabase(":memory:");
  const sqlite = db.prepareValue("SELECT sqlite_version() AS version", "version")();
  db.close();
  return `of Node ${process.versions.node}, SQLite ${String(sqlite)}`;
}

export const { open, fill, fillItems } = sqlitePeer(openDatabase, false);
