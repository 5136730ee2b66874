/**
 * Brings entry files up to the log: lazily for people who read them, and for a checkpoint before its segment goes.
 *
 * States and staging folder are taken at one instant (O3, O9), the log is made durable up to there (O8), and only
 * then the files are written, a few at a time. A process that finds the staging folder gone stops: the checkpoint of
 * another process has written the rest, or will.
 */
import { SessionStoreError } from "../../errors.js";
import { assertFolderIfAny } from "../../entries/internal-folder.js";
import type { EntryFile, EntryWriter } from "../../entries/entry-file.js";
import { composeEntryDocument } from "../../format/entry-document.js";
import type { Segment } from "../../log/segment.js";
import { raiseMark } from "./durable-mark.js";
import type { SessionLog } from "./session-log.js";
import type { SessionState } from "./session-table.js";

/** As many as the thread pool has threads; more only wait in its queue. */
const AT_ONCE = 4;

export class EntryFlusher {
  /** States that are in their files: this process wrote them there, or has seen them there. */
  readonly #written = new WeakSet<SessionState>();
  /** Checksums that the files of states have, once they were compared. */
  readonly #checksums = new WeakMap<SessionState, string>();

  constructor(
    private readonly log: SessionLog,
    private readonly writer: EntryWriter,
  ) {
    log.listen({
      decided: (state) => {
        if (state.checksum !== undefined) this.#written.add(state); // what a doctor has found in a file is there
      },
    });
  }

  /**
   * Writes the newest states of some sessions. Sessions that memory does not know have their file already.
   * @param written Gets what was written: by the time the caller verifies it, memory may know a newer state.
   * @returns Whether all were written; false when the process was fenced and must try again.
   */
  async flush(keys: Iterable<string>, written?: Map<string, SessionState>): Promise<boolean> {
    const { log } = this;
    await log.end.becomeActive();
    const segment = log.active; // of one instant with the states (O3): time has passed since the line above
    if (segment.ledger.sealed) return false;
    const states: SessionState[] = [];
    for (const key of keys) {
      // Of a session in doubt the file may be newer than what this process knows, or others may be about to write it.
      const state = log.doubts.isInDoubt(key) ? undefined : log.hot.get(key);
      if (state !== undefined && !this.#written.has(state)) states.push(state);
    }
    if (states.length === 0) return true;
    const { epoch } = log;
    const { position, ledger } = segment;
    await log.end.sync(segment); // log before data
    if (log.isCut(segment)) return false; // others may have gone on without what was taken
    if (log.epoch !== epoch) return false; // O12: what was taken before a rewind is outdated
    assertFolderIfAny(log.options.fs, log.options.layout.stageFolder(segment.ledger.stage));
    for (const state of states) written?.set(state.key, state);
    if ((await raiseMark(log.options, segment, ledger.gap ?? position)) === "fenced") {
      await log.end.stageGone(segment);
      return false;
    }
    const complete = await inParallel(states, (state) => this.#writeOne(state, segment));
    if (!complete) await log.end.stageGone(segment);
    return complete;
  }

  async #writeOne(state: SessionState, segment: Segment): Promise<boolean> {
    const sync = state.revision < segment.firstRevision;
    if ((await this.writer.write(state, segment.ledger.stage, { sync })) === "fenced") return false;
    this.#written.add(state);
    return true;
  }

  /** Finds out which of these sessions have their latest state in their file. */
  *recognise(keys: Iterable<string>): Generator<void, void> {
    for (const key of keys) {
      const state = this.log.hot.get(key);
      if (state === undefined || this.#written.has(state)) continue;
      if (this.isIn(this.log.cold.readFile(key), state)) this.#written.add(state);
      yield;
    }
  }

  /** Forgets that the latest states of these sessions are in their files. */
  distrust(keys: readonly string[]): void {
    for (const key of keys) {
      const state = this.log.hot.get(key);
      if (state !== undefined) this.#written.delete(state);
    }
  }

  /** Whether a file is what a state makes of it, to the byte: none if the session was deleted. */
  isIn(file: EntryFile, state: SessionState): boolean {
    if (file.status === "absent") return state.stored === undefined;
    return (
      file.status === "present" && file.revision === state.revision && file.crc === this.#checksumOf(state)
    );
  }

  /** Checksum that the entry file of a state has; none if the session was deleted. */
  #checksumOf(state: SessionState): string | undefined {
    const { key, revision, modifiedAt, stored } = state;
    if (stored === undefined) return undefined;
    let checksum = state.checksum ?? this.#checksums.get(state);
    if (checksum === undefined) {
      checksum = composeEntryDocument({ key, revision, modifiedAt, stored }).crc;
      this.#checksums.set(state, checksum);
    }
    return checksum;
  }

  /**
   * While the log is damaged, sessions in doubt are not written. Nothing may be said to be up to date as long as one of them has a
   * change that is in no file: one that this process knows, or one of which a record behind the damage tells.
   * @throws `log_damaged`
   */
  *assertNoneUnwritten(): Generator<void, void> {
    const { doubts, hot, cold } = this.log;
    if (doubts.damagedSegment === 0) return;
    const mentioned = doubts.mentioned();
    for (const key of new Set([...mentioned.keys(), ...hot.keys()])) {
      yield;
      const file = cold.readFile(key);
      const known = hot.get(key);
      const behind = mentioned.get(key);
      if (file.status === "present" && file.revision >= (behind ?? known?.revision ?? 0)) continue;
      if (file.status === "absent" && behind === undefined && known?.stored === undefined) continue;
      if (doubts.isInDoubt(key)) throw unwritten(doubts.refusal(key), key);
    }
  }
}

function unwritten({ code, message, data }: SessionStoreError, key: string): SessionStoreError {
  const what = `changes of session ${JSON.stringify(key)}, and maybe of others, are in no file yet`;
  return new SessionStoreError(code, `${what}: ${message}`, { data });
}

/**
 * Works through items a few at a time; stops early at the first `false`, or the first error, which it throws. What
 * stands in the way of one session (`file_unsafe`) must not stop the others: that is thrown at the end.
 */
export async function inParallel<T>(
  items: readonly T[],
  work: (item: T) => Promise<boolean>,
): Promise<boolean> {
  let next = 0;
  let complete = true;
  let obstacle: SessionStoreError | undefined;
  const worker = async (): Promise<void> => {
    try {
      while (complete && next < items.length) {
        const item = items[next++] as T;
        try {
          if (!(await work(item))) complete = false;
        } catch (error) {
          if (!(error instanceof SessionStoreError) || error.code !== "file_unsafe") throw error;
          obstacle ??= error;
        }
      }
    } catch (error) {
      complete = false;
      throw error;
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  for (const result of workers) if (result.status === "rejected") throw result.reason;
  if (obstacle !== undefined) throw obstacle;
  return complete;
}
