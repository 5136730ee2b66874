// @ts-check
/** What the peers made of plain files have in common: a lock file, and a file replaced as a whole. */
import { closeSync, fsyncSync, openSync, renameSync, unlinkSync, writeFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Whoever makes the file has the lock. Others look again and again.
 * @template T
 * @param {string} path
 * @param {number} pollMs
 * @param {() => T} work
 * @returns {Promise<T>}
 */
export async function withLockFile(path, pollMs, work) {
  while (!tryLock(path)) await sleep(pollMs);
  try {
    return work();
  } finally {
    unlinkSync(path);
  }
}

/** @param {string} path */
function tryLock(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "EEXIST") return false;
    throw error;
  }
}

/**
 * @param {string} path
 * @param {string} text
 * @param {boolean} durable The file is synced before the rename, its folder after it.
 */
export function replaceFile(path, text, durable) {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, "w", 0o600);
  writeSync(file, text);
  if (durable) fsyncSync(file);
  closeSync(file);
  renameSync(temporary, path);
  if (durable) syncFolder(dirname(path));
}

/** @param {string} path */
export function syncFolder(path) {
  const folder = openSync(path, "r");
  fsyncSync(folder);
  closeSync(folder);
}
