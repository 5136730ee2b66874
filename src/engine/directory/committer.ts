/**
 * Turns ops into a record, appends it, and repeats that until the log has decided for or against it.
 *
 *   O2  composed again, under a new number, only after the former attempt was decided void
 *   O3  states, bases, segment and append are of one instant: no `await` from `#compose` to `append`. What needs
 *       to wait (a new segment, a blob to be made durable) waits first, and then everything is composed again.
 *   O4  bases are compared with the state of the segment that the record is for, not left to rule 4
 *   O5  a file that is ahead of the log: the segment is sealed with a first revision above it, before anything
 *       is built on it
 *   O14 blobs that the same key's base does not refer to are looked up in every segment, after it was read. Once a
 *       segment is enough: a process that discards the blob later does so in this segment or after it, and what was
 *       discarded stays until that segment is sealed; by then our record is in it, or void.
 */
import { isDiskFull, readOnlyError, SessionStoreError } from "../../errors.js";
import type { BlobStore } from "../../entries/blob-store.js";
import type { EntryCodec } from "../../format/entry-codec.js";
import { isChange } from "../../format/log-line.js";
import { isStoreGone } from "../../log/store-place.js";
import type { SealToWrite } from "../../log/log-writer.js";
import type { Segment } from "../../log/segment.js";
import { inLedger } from "../../log/transcript-verdict.js";
import type { Committed } from "../../log/verdict.js";
import type {
  CommitOptions,
  CommitOutcome,
  EngineOp,
  MaybePromise,
  RecordOp,
  TranscriptOp,
} from "../contract.js";
import { inOrderOf, outcomeOf, outcomesOf, recordOf, split } from "./commit-outcome.js";
import { CommitPlan } from "./commit-plan.js";
import type { Operations } from "./operations.js";
import type { SessionLog } from "./session-log.js";
import { SessionState } from "./session-table.js";
import { TranscriptComposer } from "./transcripts/transcript-composer.js";
import { Incomplete } from "./transcripts/transcript-files.js";
import type { TranscriptReader, TranscriptState } from "./transcripts/transcript-reader.js";

export interface CommitterOptions {
  readonly durability: "disk" | "os";
  readonly readOnly: boolean;
  /** Called with every change of ours that committed, before its promise resolves. */
  readonly onCommitted: (segment: Segment, key: string, revision: number) => void;
  /** The same of a transcript. */
  readonly onTranscriptCommitted: (segment: Segment, key: string, name: string, revision: number) => void;
  /** Whether this process changed a session, and has not written its file since. */
  readonly isDirty: (key: string) => boolean;
  readonly room: CommitRoom;
}

/** Room on the disk, for commits. */
export interface CommitRoom {
  /** Room is to be made, or looked at, before a commit may take some. */
  readonly mustWait: () => boolean;
  /** A commit has taken so many bytes. */
  readonly took: (bytes: number) => void;
  /**
   * Resolves when there may be room.
   * @param full Whether a commit has just met a full disk.
   * @throws `disk_full`
   */
  readonly make: (full: boolean) => Promise<void>;
  /** Does work in the room that is kept for getting out of a full disk, or something else if there is none left. */
  readonly spendReserve: <T>(work: () => Promise<T>, otherwise: () => Promise<T>) => Promise<T>;
  /** The error of a commit for which there is no room. */
  readonly full: (cause: unknown) => SessionStoreError;
}

type Composed =
  | { readonly next: "append"; readonly plan: CommitPlan }
  | { readonly next: "make blobs"; readonly plan: CommitPlan }
  | { readonly next: "return"; readonly outcome: CommitOutcome }
  | { readonly next: "make segment" }
  /** Files were not there: the log has to be read on. */
  | { readonly next: "read on"; readonly why: Incomplete }
  /** Nothing may be appended to the segment but its seal. */
  | { readonly next: "seal"; readonly segment: Segment; readonly seal: SealToWrite };

/** Blobs that were looked up, and made durable, after this segment was read. */
interface LookedUp {
  readonly segment: Segment;
  readonly hashes: Set<string>;
}

/** Every attempt that fails is the success of another process; this many in a row mean that something is wrong. */
const ATTEMPTS_MAX = 200;
/** Attempts that are repeated at once; from then on they are spread out. */
const PROMPT_ATTEMPTS = 8;
const BACK_OFF_MS_MAX = 20;

/** Attempts of a commit that meet a full disk, and make room for the next one. */
const FULL_MAX = 2;
/** The same for deletes, which others may have robbed of the room that the reserve left, or that was made. */
const FULL_DELETES_MAX = 5;
/** After a void record this many commits are synced only once they are known to count. */
const CONTENDED_COMMITS = 16;
/** How often files of transcripts are looked for, the log being at rest, before they are said to be damaged. */
const LOOKS_MAX = 10;

export class Committer {
  #lookedUp: LookedUp | undefined;
  #contended = 0;
  readonly #composer: TranscriptComposer;

  constructor(
    private readonly log: SessionLog,
    private readonly codec: EntryCodec,
    private readonly blobs: BlobStore,
    private readonly transcripts: TranscriptReader,
    private readonly operations: Operations,
    private readonly options: CommitterOptions,
  ) {
    this.#composer = new TranscriptComposer(transcripts);
  }

  /** One attempt as the contract has it: a value at once, unless a segment or a blob has to be made first. */
  commit(ops: readonly EngineOp[], options: CommitOptions = {}): MaybePromise<CommitOutcome> {
    this.#assertWritable();
    if (this.options.room.mustWait() && ops.some(grows)) return this.#commitInRoom(ops, options);
    try {
      return this.#commitNow(ops, options) ?? this.#commitAsRoomAllows(ops, options);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      return this.#commitInRoom(ops, options, error);
    }
  }

  /** @returns Undefined if that is not possible at once. */
  #commitNow(ops: readonly EngineOp[], options: CommitOptions): CommitOutcome | undefined {
    for (let attempt = 0; attempt < PROMPT_ATTEMPTS; attempt++) {
      const composed = this.#compose(ops, options);
      if (composed.next === "return") return composed.outcome;
      if (composed.next !== "append") return undefined;
      const outcome = this.#append(composed.plan);
      if (outcome !== undefined) return outcome;
    }
    return undefined;
  }

  async #commitAsRoomAllows(ops: readonly EngineOp[], options: CommitOptions): Promise<CommitOutcome> {
    try {
      return await this.#commitLater(ops, options);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      return this.#commitInRoom(ops, options, error);
    }
  }

  /**
   * Makes room before each attempt. A delete is the way out of a full disk: the reserve is there for it.
   * @param failure What a first attempt met; its record does not count.
   */
  async #commitInRoom(
    ops: readonly EngineOp[],
    options: CommitOptions,
    failure?: unknown,
  ): Promise<CommitOutcome> {
    const { room } = this.options;
    const grow = ops.some(grows);
    const commit = (): Promise<CommitOutcome> => this.#commitLater(ops, options);
    let last = failure;
    for (let attempt = 0; attempt < (grow ? FULL_MAX : FULL_DELETES_MAX); attempt++) {
      const makeRoom = (): Promise<void> => room.make(last !== undefined);
      if (grow) await makeRoom();
      try {
        return await (grow ? commit() : room.spendReserve(commit, () => makeRoom().then(commit)));
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        last = error;
      }
    }
    throw room.full(last);
  }

  #assertWritable(): void {
    if (this.options.readOnly) throw readOnlyError("commit");
    const { failure } = this.log.end;
    if (failure === undefined || this.options.durability !== "disk") return;
    throw refused(failure);
  }

  async #commitLater(ops: readonly EngineOp[], options: CommitOptions): Promise<CommitOutcome> {
    let unread: number | undefined;
    let looks = 0;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (attempt > PROMPT_ATTEMPTS) await this.#backOff(attempt);
      await this.#prepare(() => this.log.end.becomeActive());
      const composed = this.#compose(ops, options);
      switch (composed.next) {
        case "return":
          return composed.outcome;
        case "append": {
          const outcome = this.#append(composed.plan);
          if (outcome !== undefined) return outcome;
          break;
        }
        case "seal":
          this.log.end.seal(composed.segment, composed.seal);
          break;
        case "make blobs":
          await this.#prepare(() => this.#makeBlobs(composed.plan));
          break;
        case "read on":
          if (this.log.revision !== unread) looks = 0;
          unread = this.log.revision;
          // Checkpoints of other processes may be removing dead files, one after the other.
          if (++looks > LOOKS_MAX) throw composed.why.asDamage();
          this.transcripts.forgetFiles();
          break;
        case "make segment":
          break;
      }
    }
    const keys = ops.map((op) => op.key).join(", ");
    throw new SessionStoreError(
      "conflict",
      `${keys}: ${ATTEMPTS_MAX} attempts to commit were overtaken by others`,
      {
        data: { key: ops[0]?.key, attempts: ATTEMPTS_MAX },
      },
    );
  }

  /** What has to be done before anything is appended. If it fails, nothing was written, whatever was not synced. */
  async #prepare(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      // What that says to have been written is not this commit.
      if (error instanceof SessionStoreError && error.code === "durability_unknown") throw refused(error);
      throw error;
    }
  }

  #backOff(attempt: number): Promise<void> {
    const { runtime } = this.log.options;
    return runtime.sleep(Math.min(BACK_OFF_MS_MAX, attempt) * (0.5 + runtime.random()));
  }

  /**
   * Makes the blobs of a plan durable, and those that they refer to: a removal that was cut short can have taken a
   * part and left the whole. The plan itself is outdated afterwards: time has passed.
   */
  async #makeBlobs({ segment, blobs }: CommitPlan): Promise<void> {
    const open = [...blobs.values()];
    const done = new Set<string>();
    for (let blob = open.pop(); blob !== undefined; blob = open.pop()) {
      const { reference, content } = blob;
      if (done.has(reference.hash)) continue;
      const made = await this.blobs.ensure(reference, content(), segment.ledger.stage);
      if (made === "fenced") {
        return this.log.end.stageGone(segment);
      }
      done.add(reference.hash);
      if (!reference.nested) continue;
      for (const part of this.blobs.referencesWithin(reference.hash)) {
        open.push(blobs.get(part.hash) ?? { reference: part, content: () => this.codec.cachedBlob(part) });
      }
    }
    if (this.#lookedUp?.segment !== segment) this.#lookedUp = { segment, hashes: new Set() };
    for (const hash of done) this.#lookedUp.hashes.add(hash);
  }

  #compose(given: readonly EngineOp[], options: CommitOptions): Composed {
    try {
      return this.#composeNow(given, options);
    } catch (error) {
      if (error instanceof Incomplete) return { next: "read on", why: error };
      throw error;
    }
  }

  /** States, bases and segment as of this instant. */
  #composeNow(given: readonly EngineOp[], options: CommitOptions): Composed {
    const { ops, changes } = split(given);
    const { operation } = options;
    if (changes.length > 0 || operation !== undefined) this.log.catchUp(); // what is left out, or cut off, must be so as of now
    const ended = this.#sealFirst(); // before an op is refused: others learn of damage from the seal
    if (ended !== undefined) return ended;
    const repeated = operation && this.operations.find(operation);
    if (repeated !== undefined) {
      const durable = this.durable(this.log.active);
      return { next: "return", outcome: { status: "repeated", revision: repeated, durable } };
    }
    const { states, transcripts } = this.#asOfNow(ops, changes);
    const segment = this.log.active;
    for (const [index, op] of ops.entries()) {
      if (op.base !== undefined && states[index]?.base !== op.base) {
        return { next: "return", outcome: { status: "conflict", key: op.key } };
      }
    }
    const endedSince = this.#sealFirst();
    if (endedSince !== undefined) return endedSince;
    const hasTranscripts = (key: string): boolean => this.transcripts.mayHaveAny(key);
    const { isDirty } = this.options;
    const plan = new CommitPlan(segment, this.codec, given, operation, hasTranscripts, isDirty);
    for (const [index, op] of ops.entries()) {
      const state = states[index];
      // A session that this process has not read may be known from a listing.
      const revision = state?.revision ?? this.log.cold.knownRevision(op.key) ?? 0;
      if (revision >= segment.firstRevision && !segment.ledger.changed.has(op.key)) {
        return { next: "seal", segment, seal: { firstRevision: revision + 1 } };
      }
      plan.add(op, state);
    }
    for (const [index, op] of changes.entries()) {
      const state = transcripts[index] as TranscriptState;
      const ahead = state.revision >= segment.firstRevision && !isMentioned(segment, op);
      if (ahead) return { next: "seal", segment, seal: { firstRevision: state.revision + 1 } };
      const composed = this.#composer.compose(op, state, segment);
      if (composed === undefined) return { next: "return", outcome: { status: "conflict", key: op.key } };
      plan.addTranscript(op, composed, state);
    }
    if (options.skipUnchanged === true && !plan.changes) {
      const records = inOrderOf(given, states.map(recordOf));
      return { next: "return", outcome: { status: "unchanged", records } };
    }
    if (plan.ops.length === 0 && operation === undefined && plan.transcripts.every(({ index }) => index < 0))
      return { next: "return", outcome: this.#asItIs(plan) };
    if (plan.blobs.size === 0) return { next: "append", plan };
    const known = this.#lookedUp?.segment === segment ? this.#lookedUp.hashes : undefined;
    const ready = known !== undefined && [...plan.blobs.keys()].every((hash) => known.has(hash));
    return { next: ready ? "append" : "make blobs", plan };
  }

  /** What has to be done before anything can be appended. */
  #sealFirst(): Composed | undefined {
    const segment = this.log.active;
    const seal = segment.ledger.sealed ? undefined : this.log.end.sealInstead(segment);
    if (segment.ledger.sealed || this.log.active !== segment) return { next: "make segment" };
    return seal && { next: "seal", segment, seal };
  }

  /** Every item is there already, and nothing else was wanted: that may be the commit of a process that did not wait for the disk. */
  #asItIs({ given, segment, transcripts }: CommitPlan): CommitOutcome {
    return {
      status: "committed",
      revision: this.log.revision,
      records: inOrderOf(given, []),
      ...outcomesOf(
        given,
        transcripts.map(({ before }) => before),
      ),
      durable: this.durable(segment),
    };
  }

  /** Ids of a transcript's items: who appends has them in memory. */
  itemIds(key: string, name: string, ids: readonly string[]): ReadonlyMap<string, number> {
    return this.#composer.itemIds(key, name, ids);
  }

  /** Settles when what the log has is as durable as the store promises; undefined: it is. */
  durable(segment: Segment): Promise<void> | undefined {
    return this.options.durability === "disk" ? this.log.end.sync(segment) : undefined;
  }

  /** Latest states of the ops' sessions and transcripts, all as of one log position. */
  #asOfNow(
    ops: readonly RecordOp[],
    changes: readonly TranscriptOp[],
  ): { readonly states: (SessionState | undefined)[]; readonly transcripts: TranscriptState[] } {
    for (;;) {
      const states = this.#statesOf(ops);
      const { epoch, revision } = this.log;
      const transcripts = changes.map(({ key, transcript: name, remove }) => {
        if (this.log.doubts.isTranscriptInDoubt(key, name)) throw this.log.doubts.refusal(key);
        const known = this.transcripts.known(key, name);
        return known ?? (remove ? this.transcripts.removable(key, name) : this.transcripts.state(key, name));
      });
      // A look into files reads the log on.
      if (this.log.epoch === epoch && this.log.revision === revision) return { states, transcripts };
    }
  }

  /** Latest states of the ops' keys, all as of one log position. Unconditional ops need none. */
  #statesOf(ops: readonly RecordOp[]): (SessionState | undefined)[] {
    for (;;) {
      const { epoch } = this.log;
      let cold = false;
      const states = ops.map((op) => {
        if (this.log.doubts.isInDoubt(op.key)) {
          if (op.base !== undefined) throw this.log.doubts.refusal(op.key);
          return undefined; // the op builds on nothing
        }
        const known = this.log.known(op.key);
        if (known !== undefined || op.base === undefined) return known;
        cold = true;
        return this.log.read(op.key);
      });
      // A cold read reads the log on: what was looked up before it may have been overtaken.
      const current = (state: SessionState | undefined, index: number): boolean => {
        const known = this.log.known(ops[index]?.key ?? "");
        return known === undefined || known === state;
      };
      if (!cold || (this.log.epoch === epoch && states.every(current))) return states;
    }
  }

  /** @returns Undefined if the record is void. */
  #append(plan: CommitPlan): CommitOutcome | undefined {
    const { segment, ops, after, blobs } = plan;
    const { log } = this;
    // A look into files, or a toJSON or getter of the entry that used the store, may have moved it on in between (O3).
    if (log.active !== segment || segment.ledger.sealed) return undefined;
    const transcripts = plan.transcripts.filter(({ index }) => index >= 0).map(({ composed }) => composed.op);
    const record = log.end.newRecord(segment, {
      ...(plan.operation && { o: [plan.operation.id, plan.operation.hash] as const }),
      ops,
      ...(transcripts.length > 0 && { transcripts }),
    });
    let durable: Promise<void> | undefined;
    let commit: Committed | undefined;
    const { durability, room } = this.options;
    const { position } = segment;
    const sync = (): void => {
      durable = log.end.sync(segment);
    };
    try {
      // The disk works while the line is read back and decided (O6: what is acknowledged was appended before).
      commit = log.end.append(
        segment,
        record,
        after,
        durability === "disk" && this.#contended === 0 ? sync : undefined,
      );
    } finally {
      // The caller does not wait for the sync of a record that does not count; if it fails, the syncer remembers.
      if (commit === undefined) durable?.catch(() => {});
    }
    // Where others often come first, a sync that began too early would have to be waited for by the next attempt.
    this.#contended = commit === undefined ? CONTENDED_COMMITS : Math.max(0, this.#contended - 1);
    let taken = segment.position - position;
    for (const { reference } of blobs.values()) taken += reference.bytes;
    room.took(taken);
    if (commit === undefined) return undefined;
    const { revision } = commit;
    if (durability === "disk" && durable === undefined) sync();
    const records = ops.map((op, index) => {
      const state = log.known(op.k);
      if (state?.revision === revision) return recordOf(state);
      if (!isChange(op)) return recordOf(state);
      const stored = after[index];
      return recordOf(new SessionState(op.k, revision, record.t, stored, log.options.decode)); // others came behind us
    });
    for (const op of ops) if (isChange(op)) this.options.onCommitted(segment, op.k, revision);
    const { given } = plan;
    if (transcripts.length === 0)
      return { status: "committed", revision, records: inOrderOf(given, records), durable };
    for (const { k, l } of transcripts) this.options.onTranscriptCommitted(segment, k, l, revision);
    const outcomes = plan.transcripts.map((planned) => outcomeOf(planned, commit));
    const rest = outcomesOf(given, outcomes);
    return { status: "committed", revision, records: inOrderOf(given, records), ...rest, durable };
  }
}

function isMentioned({ ledger }: Segment, { key, transcript }: TranscriptOp): boolean {
  return inLedger(ledger, key, transcript) !== undefined;
}

function refused(failure: SessionStoreError): SessionStoreError {
  const next =
    failure.data["final"] === true
      ? "Check the disk, then close this store and open it again."
      : "The disk did not fail: try again.";
  return new SessionStoreError(
    "durability_unknown",
    `${failure.data["path"]} could not be synced to the disk, so this commit was refused: nothing was written. ${next}`,
    { data: { ...failure.data, written: false }, cause: failure },
  );
}

/** What to say of a commit that was appended, and of which it is not known whether it is durable. */
export function unknownDurability(failure: unknown): unknown {
  if (!(failure instanceof SessionStoreError) || failure.code === "durability_unknown") return failure;
  const { code, message, data } = failure;
  const options = { data: { ...data, written: true }, cause: failure };
  if (isStoreGone(failure)) {
    const lost = "This commit is in the files that stood there before: it is lost, unless they are put back.";
    return new SessionStoreError(code, `${message} ${lost}`, options);
  }
  return new SessionStoreError(
    "durability_unknown",
    `this commit was written, but whether it lasts is not known: ${message}`,
    { ...options, data: { ...options.data, final: false, reason: code } },
  );
}

function grows(op: EngineOp): boolean {
  return op.kind === "set" || op.kind === "patch" || (op.kind === "transcript" && op.items !== undefined);
}
