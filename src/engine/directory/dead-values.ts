/**
 * Counts what commits left behind: shared values that some session referred to and does not any more.
 *
 * The count says when a removal is worth its while; what is dead is for the removal to find out (`blob-removal.ts`). So
 * it may be wrong in both directions: another session may still refer to a value, and if this process has not seen a
 * session, it does not know what that referred to. Every process counts its own commits and those that it reads from the
 * log; of both it looks only at the fields that changed. A process that comes later reads the live log, and counts the
 * same.
 */
import type { BlobReference, StoredObject, StoredValue } from "../../format/stored-value.js";
import { referencesInField } from "../../format/stored-references.js";
import type { LogOp } from "../../format/log-line.js";
import type { SessionState } from "./session-table.js";

/** What a deleted session of which nothing is known is taken to have had. */
const UNKNOWN_BYTES = 4096;
/** Values within values are counted in the background: no more of them than this are remembered until then. */
const NESTED_MAX = 1000;

/** What was counted up to a moment. */
export interface DeadValuesState {
  readonly inSegment: number;
  readonly bytes: number;
  readonly given: readonly (readonly [hash: string, bytes: number])[];
  readonly nested: readonly BlobReference[];
}

export class DeadValues {
  /** Bytes that became dead since the active segment was begun: reason to seal it. */
  inSegment = 0;
  /** Bytes that became dead since the last removal of this process: reason for the next one. */
  bytes = 0;
  /** Values that were given up by a session since the last removal, and not referred to anew. */
  readonly #given = new Map<string, number>();
  /** Those of them with further values in them, whose size is not known yet. */
  readonly #nested: BlobReference[] = [];

  /** A record changed a session. */
  changed(state: SessionState, before: SessionState | undefined, op: LogOp): void {
    if (state.stored === undefined && before === undefined) this.#count(UNKNOWN_BYTES);
    const old = before?.stored;
    if (op.p === undefined) {
      if (old !== undefined) for (const name of Object.keys(old)) this.#giveUp(old[name]);
      if (op.s !== undefined) for (const name of Object.keys(op.s)) this.#takeBack(op.s[name]);
      return;
    }
    if (old !== undefined) this.#giveUpFields(old, op.p, op.u);
    for (const name of Object.keys(op.p)) this.#takeBack(op.p[name]);
  }

  /** What is counted now, for a process that comes later. */
  get state(): DeadValuesState {
    return {
      inSegment: this.inSegment,
      bytes: this.bytes,
      given: [...this.#given],
      nested: [...this.#nested],
    };
  }

  /** Begins with what another process has counted. */
  resume({ inSegment, bytes, given, nested }: DeadValuesState): void {
    this.inSegment += inSegment;
    this.bytes += bytes;
    for (const [hash, size] of given) this.#given.set(hash, size);
    this.#nested.push(...nested);
  }

  /** Reading went on in another segment: the process that sealed the one before collects what it left. */
  sealed(): void {
    this.inSegment = 0;
  }

  /** What was dead is in the trash, or was alive after all. */
  removed(): void {
    this.#given.clear();
    this.#nested.length = 0;
    this.bytes = 0;
    this.inSegment = 0;
  }

  /** Forgets those that were given up first, as long as they are gone: a removal takes all that are dead by then. */
  forgetFirst(isGone: (hash: string) => boolean): void {
    for (const [hash, bytes] of this.#given) {
      if (!isGone(hash)) return;
      this.#given.delete(hash);
      this.bytes -= bytes;
    }
  }

  /**
   * Counts the values within values that were given up.
   * @param within What such a value refers to; undefined if that cannot be read.
   */
  countNested(within: (hash: string) => readonly BlobReference[] | undefined): void {
    for (let value = this.#nested.pop(); value !== undefined; value = this.#nested.pop()) {
      if (!this.#given.has(value.hash)) continue;
      for (const part of within(value.hash) ?? []) this.#add(part);
    }
  }

  #giveUpFields(old: StoredObject, set: StoredObject, unset: readonly string[] | undefined): void {
    for (const name of Object.keys(set)) if (Object.hasOwn(old, name)) this.#giveUp(old[name]);
    if (unset !== undefined) for (const name of unset) if (Object.hasOwn(old, name)) this.#giveUp(old[name]);
  }

  #giveUp(field: StoredValue | undefined): void {
    if (typeof field !== "object" || field === null) return;
    for (const reference of referencesInField(field)) this.#add(reference);
  }

  #add(reference: BlobReference): void {
    const { hash, bytes, nested } = reference;
    if (this.#given.has(hash)) return;
    this.#given.set(hash, bytes);
    this.#count(bytes);
    if (nested && this.#nested.length < NESTED_MAX) this.#nested.push(reference);
  }

  #takeBack(field: StoredValue | undefined): void {
    if (this.#given.size === 0 || typeof field !== "object" || field === null) return;
    for (const { hash } of referencesInField(field)) {
      const bytes = this.#given.get(hash);
      if (bytes === undefined) continue;
      this.#given.delete(hash);
      this.#count(-bytes);
    }
  }

  #count(bytes: number): void {
    this.bytes += bytes;
    this.inSegment = Math.max(0, this.inSegment + bytes);
  }
}
