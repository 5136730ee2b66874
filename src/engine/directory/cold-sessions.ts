/**
 * Sessions that no live segment changed: their states are in their entry files, and memory keeps them as long as there is
 * room.
 *
 * A file whose revision is not older than the active segment, for a key that the live segments do not mention, is ahead
 * of the log (a raw copy, a disk that lied): it is believed only after the log was read once more (O5), and a writer seals
 * before it builds on it. A file that is older than what a catalog tells of, or is not there, is damage.
 *
 * All of this only reads, so a crash leaves nothing behind.
 */
import { SessionStoreError } from "../../errors.js";
import { readEntryFile, type EntryFile } from "../../entries/entry-file.js";
import type { FileSystem } from "../../fs/file-system.js";
import type { Layout } from "../../format/layout.js";
import type { LogTail } from "../../log/log-tail.js";
import { SessionState, type Decode, type SessionTable } from "./session-table.js";

/** What knows of sessions besides the log and their files: catalogs, and the index of listings. */
export interface KnownElsewhere {
  /** What a loaded index says that a session's file must at least have. */
  knownRevision(key: string): number | undefined;
  /**
   * The revision of a session that neither the log nor a file mentions, though it was written; undefined if there is no
   * such session, or if it would cost too much to find out. The log must have been read just before.
   */
  revisionElsewhere(key: string): number | undefined;
  /** Where the segment behind a checkpointed one begins. */
  beginningBehind(segment: number): { readonly firstRevision: number; readonly after: number } | undefined;
}

export interface ColdSessionsOptions {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly decode: Decode;
  readonly elsewhere: KnownElsewhere;
}

export class ColdSessions {
  constructor(
    private readonly options: ColdSessionsOptions,
    private readonly tail: LogTail,
    private readonly table: SessionTable,
  ) {}

  /**
   * State of a session that memory does not have, from its file. The log must have been read just before.
   * @throws `entry_corrupt` when the file is damaged, or missing although a catalog has the session, and the log does not
   *   have the session.
   */
  read(key: string): SessionState {
    const { elsewhere, layout } = this.options;
    let file = this.readFile(key);
    if (file.status === "absent" && elsewhere.revisionElsewhere(key) !== undefined) {
      this.tail.catchUp(); // a delete that took the file is in the log by now, or in a catalog
      const known = this.table.get(key);
      if (known !== undefined) return known;
      const revision = elsewhere.revisionElsewhere(key);
      if (revision !== undefined) throw missingEntry(key, layout.entryFile(key), revision);
    }
    if (file.status === "corrupt" || this.isAhead(file)) {
      this.tail.catchUp(); // O5: once more, before a file is believed that the log does not explain
      const known = this.table.get(key);
      if (known !== undefined) return known;
      file = this.readFile(key);
    }
    if (file.status === "corrupt") throw corruptEntry(key, file);
    if (file.status === "present" && file.revision < (elsewhere.knownRevision(key) ?? 0)) {
      const path = layout.entryFile(key);
      throw corruptEntry(key, { status: "corrupt", path, reason: "an older copy was put back", offset: 0 });
    }
    const state = this.stateOf(key, file);
    this.table.learn(state);
    return state;
  }

  readFile(key: string): EntryFile {
    return readEntryFile(this.options.fs, this.options.layout, key);
  }

  /** What a file says of its session. */
  stateOf(key: string, file: Exclude<EntryFile, { status: "corrupt" }>): SessionState {
    const { decode } = this.options;
    if (file.status === "absent") return new SessionState(key, 0, 0, undefined, decode);
    return new SessionState(key, file.revision, file.modifiedAt, file.stored, decode, file.crc);
  }

  isAhead(file: EntryFile): boolean {
    return file.status === "present" && file.revision >= this.tail.active.firstRevision;
  }

  /** Remembers what a file said. Only for a session that is not hot. */
  learn(state: SessionState): void {
    this.table.learn(state);
  }

  /** Forgets what a file said. */
  forget(key: string): void {
    this.table.forget(key);
  }

  /** Revision of a session that this process has not read, as far as a listing knows it. */
  knownRevision(key: string): number | undefined {
    return this.options.elsewhere.knownRevision(key);
  }
}

function corruptEntry(key: string, file: EntryFile & { status: "corrupt" }): SessionStoreError {
  return new SessionStoreError(
    "entry_corrupt",
    `${file.path} is damaged at byte ${file.offset} (${file.reason}), and the log no longer has the session. ` +
      `Other sessions are not affected. ${WAYS_OUT}`,
    { data: { key, path: file.path, offset: file.offset, reason: file.reason, missing: false } },
  );
}

function missingEntry(key: string, path: string, revision: number): SessionStoreError {
  return new SessionStoreError(
    "entry_corrupt",
    `${path} is missing, although revision ${revision} of the session was written to it and never deleted. Other ` +
      `sessions are not affected. ${WAYS_OUT}`,
    { data: { key, path, offset: 0, reason: MISSING, missing: true, revision } },
  );
}

/** Why an entry file that is not there is damage, as a clause. */
export const MISSING = "the file is missing";

const WAYS_OUT = "Restore the file from a backup, put the session again as a whole, or delete it for good.";
