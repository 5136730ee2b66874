/**
 * What this store and its legacy file had in common, and when: `.store/legacy/<revision>-<sha256>.json`, one file for
 * each legacy file that was read into the store or written from it.
 *
 * Two questions are answered here. Is a `sessions.json` that lies there one that we know, or did somebody else write
 * it? A file is known by its size and SHA-256, not by its inode or its time, which any copy changes. And which of its
 * entries did that somebody change? Those whose digest differs from the newest record; the others are left alone,
 * however the store has moved on, so an old gateway that writes everything back does not undo what it never touched,
 * deletions included.
 *
 * Records are never changed, and have names of their own, so any number of processes may write them and none undoes
 * another's. A crash leaves a temp file, which the next writer removes, or a record of a file that was never put in
 * its place, which is harmless: it describes a state of the store.
 */
import { readRegularFile, syncDirectory } from "../../fs/regular-file.js";
import { namesIn } from "../../fs/status.js";
import { ignoreExisting, ignoreMissing, isMissing } from "../../fs/missing.js";
import { replaceFile } from "../../fs/replace-file.js";
import { STORE_FOLDER } from "../../format/layout.js";
import type { LegacyHost } from "../base/host.js";
import { syncLog } from "../base/tree.js";

export interface KnownFile {
  /** The store's revision that the file has at least, or the one from after it was read. */
  readonly revision: number;
  readonly bytes: number;
  /** In hex. */
  readonly sha256: string;
  /**
   * It has every session of that revision; false for a file of somebody else's that was merged, and for one that was written
   * while a session could not be read.
   */
  readonly complete: boolean;
  /** Milliseconds since 1970. */
  readonly recordedAt: number;
  /** Key and digest of every session, in the order of the file. */
  readonly entries: readonly (readonly [key: string, digest: string])[];
  /** The same for sessions that were deleted since: a foreign file may still have them. */
  readonly gone: readonly (readonly [key: string, digest: string])[];
}

const KIND = "sessiondir-legacy";
/** A few more than the processes that may be writing at once. */
const KEPT = 6;
const GONE_MAX = 10_000;
/** 100,000 sessions with keys of 100 bytes are 13 MB. */
const RECORD_BYTES_MAX = 1024 * 1024 * 1024;

export class KnownFiles {
  private constructor(
    /** Newest first. */
    readonly records: readonly KnownFile[],
  ) {}

  /** What is recorded in a store; a record that cannot be read counts as none. */
  static async load(host: LegacyHost, directory: string): Promise<KnownFiles> {
    const folder = recordFolder(directory);
    const records: KnownFile[] = [];
    for (const name of await namesIn(host.fs, folder)) {
      if (recordRevision(name) === undefined) continue;
      const record = readRecord(host, `${folder}/${name}`);
      if (record !== undefined) records.push(record);
    }
    records.sort((a, b) => b.revision - a.revision || b.recordedAt - a.recordedAt);
    return new KnownFiles(records);
  }

  get newest(): KnownFile | undefined {
    return this.records[0];
  }

  /** The record of a file with this content. */
  find(bytes: number, sha256: string): KnownFile | undefined {
    return this.records.find((record) => record.bytes === bytes && record.sha256 === sha256);
  }

  knows(bytes: number, sha256: string): boolean {
    return this.find(bytes, sha256) !== undefined;
  }

  /** Digest of each session as both sides last had it. */
  base(): Map<string, string> {
    return new Map([...(this.newest?.gone ?? []), ...(this.newest?.entries ?? [])]);
  }

  /** Sessions of the newest record that are not among `keys`, for the next record. */
  goneWithout(keys: ReadonlySet<string>): (readonly [string, string])[] {
    return [...this.base()].filter(([key]) => !keys.has(key)).slice(-GONE_MAX);
  }
}

/**
 * Writes a record, durably, and removes those that are older than the newest few. Every commit that the record tells of is
 * made durable first: after a power cut that takes one back, its revision is given to another one.
 */
export async function recordKnownFile(host: LegacyHost, directory: string, record: KnownFile): Promise<void> {
  const { fs, runtime } = host;
  const folder = recordFolder(directory);
  await syncLog(host, directory);
  await ignoreExisting(fs.later.mkdir(folder));
  await syncDirectory(fs, `${directory}/${STORE_FOLDER}`);
  const name = `${String(record.revision).padStart(16, "0")}-${record.sha256.slice(0, 16)}.json`;
  const temporary = `${folder}/${name}.${runtime.randomName(8)}`;
  const bytes = Buffer.from(`${JSON.stringify({ kind: KIND, ...record })}\n`);
  await replaceFile(fs, temporary, `${folder}/${name}`, bytes);
  await removeOld(host, folder);
}

async function removeOld({ fs }: LegacyHost, folder: string): Promise<void> {
  const names = await namesIn(fs, folder);
  const records = names.filter((name) => recordRevision(name) !== undefined);
  const oldestKept = records.at(-KEPT) ?? "";
  // Names begin with the revision: what is below is older, temp files of killed writers included.
  for (const name of names.filter((name) => name < oldestKept && /^\d{16}-/.test(name))) {
    await ignoreMissing(fs.later.unlink(`${folder}/${name}`));
  }
}

function recordFolder(directory: string): string {
  return `${directory}/${STORE_FOLDER}/legacy`;
}

function recordRevision(name: string): number | undefined {
  const match = /^(\d{16})-[0-9a-f]{16}\.json$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

function readRecord({ fs }: LegacyHost, path: string): KnownFile | undefined {
  try {
    // A power cut may leave it under its temp name as well.
    const text = readRegularFile(fs, path, { bytesMax: RECORD_BYTES_MAX }).toString();
    const value = JSON.parse(text) as { kind?: unknown } & KnownFile;
    return value.kind === KIND && Array.isArray(value.entries) && Array.isArray(value.gone)
      ? value
      : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || isMissing(error)) return undefined; // removed by another process
    throw error;
  }
}
