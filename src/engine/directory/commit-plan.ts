/**
 * A record that is composed op by op, against the states of one instant: what it says, what it makes of its sessions, and
 * which shared values have to be durable before it may be appended.
 *
 * Nothing is written here, and a plan is outdated as soon as time has passed.
 */
import type { EntryCodec } from "../../format/entry-codec.js";
import type { LogOp } from "../../format/log-line.js";
import { applyPatch, diffStored } from "../../format/stored-patch.js";
import type { BlobReference, StoredObject } from "../../format/stored-value.js";
import type { Segment } from "../../log/segment.js";
import type { EngineOp, Operation, RecordOp, TranscriptOp, TranscriptOutcome } from "../contract.js";
import type { SessionState } from "./session-table.js";
import type { ComposedTranscript } from "./transcripts/transcript-composer.js";
import { engineTranscript, type TranscriptState } from "./transcripts/transcript-reader.js";

/** Occurs in a blob that refers to others; if it occurs in another one by chance, nothing comes of it. */
const REFERENCE_MARK = '"$blob":"sha256:';

/** A shared value that a record refers to, and its content if this process has it. */
export interface NeededBlob {
  readonly reference: BlobReference;
  readonly content: () => Buffer | undefined;
}

/** An op on a transcript. */
export interface PlannedTranscript {
  readonly composed: ComposedTranscript;
  /** Which of the record's ops on transcripts it is; -1 for none, because it changes nothing and demands nothing. */
  readonly index: number;
  /** What becomes of it in that case. */
  readonly before: TranscriptOutcome;
}

export class CommitPlan {
  readonly ops: LogOp[] = [];
  /** What the ops make of their sessions, if they commit. */
  readonly after: (StoredObject | undefined)[] = [];
  /** By hash. */
  readonly blobs = new Map<string, NeededBlob>();
  readonly transcripts: PlannedTranscript[] = [];
  /** Whether any session would not be what it is. */
  changes = false;

  constructor(
    readonly segment: Segment,
    private readonly codec: EntryCodec,
    /** What was asked for. */
    readonly given: readonly EngineOp[],
    readonly operation: Operation | undefined,
    /** Whether a session has transcripts, which a delete takes along. */
    private readonly hasTranscripts: (key: string) => boolean,
    /** Whether this process changed a session, and has not written its file since. */
    private readonly isDirty: (key: string) => boolean,
  ) {}

  addTranscript(op: TranscriptOp, composed: ComposedTranscript, { head }: TranscriptState): void {
    const { changes, skipped } = composed;
    const conditional = op.ifCut !== undefined || op.ifLast !== undefined || op.ifLength !== undefined;
    const index = changes || conditional ? this.transcripts.filter((other) => other.index >= 0).length : -1;
    const transcript = head && engineTranscript(head);
    this.transcripts.push({ composed, index, before: { transcript, first: 0, last: 0, skipped } });
    this.changes ||= changes;
  }

  /** @param state Latest state of the op's session; undefined if the op builds on nothing. */
  add(op: RecordOp, state: SessionState | undefined): void {
    const base = op.base === undefined ? undefined : { b: op.base };
    switch (op.kind) {
      case "check":
        this.ops.push({ k: op.key, b: op.base });
        this.after.push(state?.stored);
        return;
      case "delete":
        this.ops.push({ k: op.key, ...base, d: 1 });
        this.after.push(undefined);
        this.changes ||= state?.stored !== undefined || this.hasTranscripts(op.key);
        return;
      case "set": {
        const encoded = this.codec.encode(op.entry, state?.stored, op.key, this.isDirty(op.key));
        this.#needBlobs(op, state, encoded);
        const diff = state?.stored === undefined ? undefined : diffStored(state.stored, encoded.stored);
        this.changes ||= state?.stored === undefined || diff !== undefined;
        this.#pushChange(op, state?.stored, encoded.stored, diff ?? { set: {}, unset: [] });
        return;
      }
      case "patch": {
        if (state?.stored === undefined)
          throw new TypeError(`a patch of ${op.key} needs a base revision above 0`);
        const encoded = this.codec.encodeFields(op.fields, state.stored, op.key, this.isDirty(op.key));
        this.#needBlobs(op, state, encoded);
        const after = applyPatch(state.stored, encoded.stored, encoded.unset);
        this.changes ||= diffStored(state.stored, after) !== undefined;
        this.#pushChange(op, state.stored, after, { set: encoded.stored, unset: encoded.unset });
      }
    }
  }

  /** A patch where rule 4 allows one and it says the same as the whole entry, order of fields included. */
  #pushChange(
    op: RecordOp,
    before: StoredObject | undefined,
    after: StoredObject,
    diff: { readonly set: StoredObject; readonly unset: readonly string[] },
  ): void {
    this.after.push(after);
    const k = op.key;
    if (op.base === undefined) {
      this.ops.push({ k, s: after });
    } else if (
      before !== undefined &&
      this.segment.ledger.changed.has(k) &&
      keepsOrder(before, after, diff.unset)
    ) {
      const unset = diff.unset.length > 0 ? { u: diff.unset } : undefined;
      this.ops.push({ k, b: op.base, p: diff.set, ...unset });
    } else {
      this.ops.push({ k, b: op.base, s: after });
    }
  }

  #needBlobs(
    op: RecordOp,
    state: SessionState | undefined,
    encoded: { references: readonly BlobReference[]; newBlobs: ReadonlyMap<string, Buffer> },
  ): void {
    if (encoded.references.length === 0 && encoded.newBlobs.size === 0) return;
    // Only a base that the record names protects its references: if it is not the latest, the record is superseded.
    const ofBase =
      op.base === undefined || state?.stored === undefined ? [] : this.codec.referencesOf(state.stored);
    const inBase = (hash: string): boolean => ofBase.some((reference) => reference.hash === hash);
    for (const [hash, content] of encoded.newBlobs) {
      if (inBase(hash)) continue;
      const nested = content.includes(REFERENCE_MARK);
      this.blobs.set(hash, { reference: { hash, bytes: content.length, nested }, content: () => content });
    }
    for (const reference of encoded.references) {
      if (inBase(reference.hash) || this.blobs.has(reference.hash)) continue;
      this.blobs.set(reference.hash, { reference, content: () => this.codec.cachedBlob(reference) });
    }
  }
}

/** Whether a patch of `before` gives the fields of `after` in that order. */
function keepsOrder(before: StoredObject, after: StoredObject, unset: readonly string[]): boolean {
  const wanted = Object.keys(after);
  let next = 0;
  for (const name of Object.keys(before)) {
    if (unset.length > 0 && unset.includes(name)) continue;
    if (wanted[next++] !== name) return false;
  }
  return true;
}
