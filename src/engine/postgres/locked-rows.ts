/**
 * What the rows say that a batch has locked, and what the commits of the batch before the present one have made of them.
 *
 * Revisions that this batch gives are not known before its end: its n-th commit is -n until then.
 */
import { NOTHING_SHARED, type SharedFields } from "./shared-values.js";
import { isAsDemanded, type EngineTranscript, type TranscriptConditions } from "../contract.js";

/** A revision, or -n: of the n-th commit of this batch. */
export type BatchRevision = number;

export interface SessionRow {
  readonly revision: BatchRevision;
  /** Whether there is a record. */
  readonly present: boolean;
  readonly updatedAt: number;
  readonly modifiedAt: number;
  /** Undefined where nobody asked for it, or there is none. */
  readonly entry: object | undefined;
  /** Its shared values, as far as they are known. */
  readonly shared: SharedFields;
}

/** What tells one life of a transcript from all others: the commit that made it, and the place of the op in that commit. */
export interface TranscriptLife {
  readonly since: BatchRevision;
  readonly ord: number;
}

export interface TranscriptRow extends TranscriptLife {
  /** No item has a lower number. */
  readonly low: number;
  readonly last: number;
  readonly length: number;
  readonly cut: BatchRevision;
}

const GONE: SessionRow = {
  revision: 0,
  present: false,
  updatedAt: 0,
  modifiedAt: 0,
  entry: undefined,
  shared: NOTHING_SHARED,
};

export class LockedRows {
  readonly #sessions = new Map<string, SessionRow>();
  readonly #transcripts = new Map<string, Map<string, TranscriptRow>>();
  /** Of a transcript, as far as they were asked for, or appended by this batch. */
  readonly #ids = new Map<string, Map<string, number>>();

  session(key: string): SessionRow {
    return this.#sessions.get(key) ?? GONE;
  }

  setSession(key: string, row: SessionRow): void {
    this.#sessions.set(key, row);
  }

  /** Revision of the record; 0: there is none. */
  baseOf(key: string): BatchRevision {
    const { present, revision } = this.session(key);
    return present ? revision : 0;
  }

  transcript(key: string, name: string): TranscriptRow | undefined {
    return this.#transcripts.get(key)?.get(name);
  }

  transcriptsOf(key: string): ReadonlyMap<string, TranscriptRow> {
    return this.#transcripts.get(key) ?? new Map<string, TranscriptRow>();
  }

  setTranscript(key: string, name: string, row: TranscriptRow | undefined): void {
    const rows = this.#transcripts.get(key) ?? new Map<string, TranscriptRow>();
    this.#transcripts.set(key, rows);
    if (row === undefined) rows.delete(name);
    else rows.set(name, row);
  }

  /** Ids that its items have. */
  ids(life: TranscriptLife): Map<string, number> {
    const name = `${life.since} ${life.ord}`;
    const found = this.#ids.get(name) ?? new Map<string, number>();
    this.#ids.set(name, found);
    return found;
  }

  isAsDemanded(key: string, name: string, conditions: TranscriptConditions): boolean {
    return isAsDemanded(conditions, this.transcript(key, name));
  }
}

/** @param base Revision of the commit before this batch's first. */
export function infoOf(row: TranscriptRow | undefined, base: number): EngineTranscript | undefined {
  if (row === undefined) return undefined;
  const { last, length, since, cut } = row;
  return { last, length, since: revisionOf(since, base), cut: revisionOf(cut, base) };
}

export function revisionOf(revision: BatchRevision, base: number): number {
  return revision < 0 ? base - revision : revision;
}
