/**
 * Who holds a lock file, and whether the lock still counts: the rules of the old gateways, so that both sides judge alike.
 *
 * A lock file is JSON: `pid`, `createdAt` (ISO 8601), and on Linux `starttime`, the process's start in clock ticks since boot. It
 * is stale when its process is gone or is another one by now, or when it is older than 30 s. A file that says neither (its
 * maker was killed between creating and writing it, or is just about to write) is stale by its own age.
 */
import type { FileSystem } from "../../fs/file-system.js";
import { isAlive, startTimeOf } from "../../fs/processes.js";
import { readRegularFile } from "../../fs/regular-file.js";
import { isMissing } from "../../fs/missing.js";

/** What old gateways pass for the lock of a session store. */
export const LOCK_STALE_MS = 30_000;

const LOCK_BYTES_MAX = 64 * 1024;

/** A lock file as it was found. */
export interface FoundLock {
  /** Another value: another lock, even if it has the same inode. */
  readonly identity: string;
  /** 0 if the file does not say. */
  readonly pid: number;
  readonly stale: boolean;
}

/** What our own lock file says. */
export function lockContent(fs: FileSystem, now: number): string {
  const starttime = startTimeOf(fs, process.pid);
  const known = { pid: process.pid, createdAt: new Date(now).toISOString() };
  return JSON.stringify(starttime === undefined ? known : { ...known, starttime }, null, 2);
}

/** @returns Undefined if there is no lock file. */
export function findLock(fs: FileSystem, path: string, now: number): FoundLock | undefined {
  try {
    const { inode, modifiedAt } = fs.lstat(path);
    const limits = { bytesMax: LOCK_BYTES_MAX }; // two while it is moved
    const text = readRegularFile(fs, path, limits).toString();
    const holder = parseHolder(text);
    const identity = `${inode} ${modifiedAt} ${text}`;
    return { identity, pid: holder.pid ?? 0, stale: isStale(fs, holder, now, modifiedAt) };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

interface Holder {
  readonly pid: number | undefined;
  readonly createdAt: number | undefined;
  readonly starttime: number | undefined;
}

function parseHolder(text: string): Holder {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined; // half written, or not one of ours
  }
  const fields = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const created = typeof fields.createdAt === "string" ? Date.parse(fields.createdAt) : Number.NaN;
  return {
    pid: count(fields.pid) === 0 ? undefined : count(fields.pid),
    createdAt: Number.isFinite(created) ? created : undefined,
    starttime: count(fields.starttime),
  };
}

function isStale(fs: FileSystem, holder: Holder, now: number, modifiedAt: number): boolean {
  const { pid, createdAt, starttime } = holder;
  const old = (since: number): boolean => now - since > LOCK_STALE_MS;
  if (pid !== undefined) {
    if (!isAlive(pid)) return true;
    const running = starttime === undefined ? undefined : startTimeOf(fs, pid);
    if (running !== undefined && running !== starttime) return true;
    if (createdAt !== undefined) return old(createdAt);
  }
  return old(createdAt === undefined ? modifiedAt : Math.max(createdAt, modifiedAt));
}

function count(value: unknown): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : undefined;
}
