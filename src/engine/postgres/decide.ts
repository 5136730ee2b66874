/**
 * Decides one commit of a batch on the rows that the batch has locked, and gathers what it writes.
 *
 * Nothing is gathered before every base and condition was compared and every entry made: a commit that is refused leaves the
 * rows, and the commits behind it in the batch, as they were.
 */
import { operationMismatch } from "../../errors.js";
import { equalJson } from "../../format/equal-json.js";
import type { Limits } from "../../format/limits.js";
import {
  isCheck,
  type CommitOptions,
  type CommitOutcome,
  type EngineRecord,
  type TranscriptChange,
  type TranscriptOp,
  type TranscriptOutcome,
} from "../contract.js";
import type { BatchWrites } from "./batch-writes.js";
import { infoOf, revisionOf, type LockedRows, type SessionRow, type TranscriptRow } from "./locked-rows.js";
import { NOTHING_SHARED, refsOf, setShared } from "./shared-values.js";
import { patched, written, type PreparedOp, type Written } from "./prepared-op.js";

/** A commit that waits. */
export interface Waiting {
  readonly ops: readonly PreparedOp[];
  readonly options: CommitOptions;
  /** When it was composed, by this process's clock. */
  readonly time: number;
}

/** The answer, once the revision before the batch's first is known. */
export type Decision = (base: number) => CommitOutcome;

export interface Deciding {
  readonly rows: LockedRows;
  readonly writes: BatchWrites;
  readonly limits: Limits;
  readonly thresholdBytes: number;
  readonly updatedAtOf: (entry: object) => number;
  /** Operations among those of the batch that were committed before, or by it. */
  readonly operations: Map<string, { readonly hash: string; readonly revision: number }>;
  /** What only items that are there can tell: the boundary that a truncation or a trim comes to. */
  readonly boundaries: ReadonlyMap<TranscriptOp, Boundaries>;
}

/** Of a transcript with gaps between its numbers. */
export interface Boundaries {
  /** Items that a truncation leaves, and the highest number among them, or 0. */
  readonly kept: number;
  readonly keptLast: number;
  /** Numbers of the items that are left then, lowest first, as far as a trim may remove them. */
  readonly oldest: readonly number[];
}

type SetOp = Extract<PreparedOp, { kind: "set" | "patch" }>;

/** @throws what this commit alone is refused for. */
export function decide({ ops, options, time }: Waiting, deciding: Deciding): Decision {
  const { rows, writes, operations } = deciding;
  const { operation, skipUnchanged } = options;
  const done = operation && operations.get(operation.id);
  if (operation !== undefined && done !== undefined) {
    if (done.hash !== operation.hash) throw operationMismatch(operation.id, Math.max(0, done.revision));
    return (base) => ({ status: "repeated", revision: revisionOf(done.revision, base) });
  }
  const refused = ops.find((op) => !isGranted(op, rows));
  if (refused !== undefined) return () => ({ status: "conflict", key: refused.key });
  const entries = new Map<PreparedOp, Written>();
  for (const op of ops)
    if (op.kind === "set" || op.kind === "patch") entries.set(op, entryAfter(op, deciding));
  if (skipUnchanged === true && ops.every((op) => leavesAsItIs(op, entries.get(op), rows))) {
    const records = ops.map(({ key }) => recordOf(key, rows.session(key)));
    return (base) => ({ status: "unchanged", records: records.map((record) => record?.(base)) });
  }
  const n = ++writes.commits;
  if (operation !== undefined) {
    operations.set(operation.id, { hash: operation.hash, revision: -n });
    writes.operation(operation.id, operation.hash, n);
  }
  const outcomes = ops.map((op, ord) => {
    if (op.kind === "transcript") return applyTranscript(op, ord, n, time, deciding);
    applyRecord(op, entries.get(op), n, time, deciding);
    return undefined;
  });
  const records = ops.map(({ key }) => recordOf(key, rows.session(key)));
  return (base) => {
    const outcome = {
      status: "committed",
      revision: base + n,
      records: records.map((record) => record?.(base)),
      durable: undefined,
    } as const;
    if (!ops.some(({ kind }) => kind === "transcript")) return outcome;
    return { ...outcome, transcripts: outcomes.map((one) => one?.(base)) };
  };
}

function isGranted(op: PreparedOp, rows: LockedRows): boolean {
  if (op.kind === "transcript") return rows.isAsDemanded(op.key, op.transcript, op);
  return op.base === undefined || op.base === rows.baseOf(op.key);
}

function entryAfter(op: SetOp, { rows, limits, thresholdBytes }: Deciding): Written {
  if (op.kind === "set") return op;
  const { entry = {} } = rows.session(op.key);
  return written(patched(entry, op.fields, op.unset), limits, thresholdBytes, op.key);
}

function leavesAsItIs(op: PreparedOp, after: Written | undefined, rows: LockedRows): boolean {
  if (op.kind === "transcript") return isCheck(op);
  const { present, entry } = rows.session(op.key);
  if (op.kind === "check") return true;
  if (op.kind === "delete") return !present && rows.transcriptsOf(op.key).size === 0;
  return present && equalJson(entry, after?.entry);
}

function recordOf(key: string, row: SessionRow): ((base: number) => EngineRecord) | undefined {
  const { present, entry, revision, modifiedAt, shared } = row;
  if (!present || entry === undefined) return undefined;
  return (base) =>
    setShared(Object.freeze({ key, entry, revision: revisionOf(revision, base), modifiedAt }), shared);
}

function applyRecord(
  op: Exclude<PreparedOp, TranscriptOp>,
  after: Written | undefined,
  n: number,
  time: number,
  { rows, writes, updatedAtOf }: Deciding,
): void {
  const { key } = op;
  if (op.kind === "check") return;
  const base = rows.baseOf(key);
  if (after !== undefined) {
    const { entry, json, shared } = after;
    // The record that this one replaces: what it has is there, and stays until this commit counts.
    for (const { hash } of rows.session(key).shared.values()) writes.covered(hash);
    for (const [name, { hash }] of shared)
      writes.use(hash, () => JSON.stringify((entry as Record<string, unknown>)[name]), n, key);
    const row = { present: true, updatedAt: updatedAtOf(entry), modifiedAt: time };
    writes.change({ n, key, kind: "put", base, time, val: json, refs: refsOf(shared) });
    writes.session(key, { n, ...row });
    rows.setSession(key, { ...row, revision: -n, entry, shared });
    return;
  }
  const lists = [...rows.transcriptsOf(key)];
  if (base === 0 && lists.length === 0) return;
  const row = { present: false, updatedAt: 0, modifiedAt: time };
  writes.change({ n, key, kind: "delete", base, time, val: null, refs: null });
  writes.session(key, { n, ...row });
  rows.setSession(key, { ...row, revision: -n, entry: undefined, shared: NOTHING_SHARED });
  for (const [name, life] of lists) {
    writes.discard(life);
    writes.transcript(key, name, undefined);
    rows.setTranscript(key, name, undefined);
  }
}

type Outcome = (base: number) => TranscriptOutcome;

/** In the order of the contract: remove, truncate, items, trim. */
function applyTranscript(
  op: TranscriptOp,
  ord: number,
  n: number,
  time: number,
  deciding: Deciding,
): Outcome {
  const { rows, writes } = deciding;
  const { key, transcript: name } = op;
  const before = rows.transcript(key, name);
  const removed = op.remove === true && before !== undefined;
  let row = removed ? undefined : before;
  if (removed) writes.discard(before);
  const boundaries = deciding.boundaries.get(op);
  let truncatedAfter: number | undefined;
  if (row !== undefined && op.truncate !== undefined) {
    const cut = truncate(row, op.truncate, boundaries);
    if (cut.kept < row.length) {
      truncatedAfter = "length" in op.truncate ? cut.keptLast : op.truncate.afterSeq;
      writes.removeItems({ ...lifeOf(row), from: cut.keptLast + 1, to: row.last });
      const ids = rows.ids(row);
      for (const [id, seq] of ids) if (seq > cut.keptLast) ids.delete(id);
      row = { ...row, length: cut.kept, cut: -n };
    }
  }
  const given = op.items ?? [];
  row ??= given.length === 0 ? undefined : { since: -n, ord, low: 1, last: 0, length: 0, cut: -n };
  const lastBefore = row?.last ?? 0;
  const skipped: number[] = [];
  if (row !== undefined) {
    const life = lifeOf(row);
    const ids = rows.ids(life);
    for (const [index, { json, id }] of given.entries()) {
      if (id !== undefined && ids.has(id)) {
        skipped.push(index);
        continue;
      }
      row = { ...row, last: row.last + 1, length: row.length + 1 };
      if (id !== undefined) ids.set(id, row.last);
      writes.item({ ...life, seq: row.last, id, n, time, json });
    }
  }
  const last = row?.last ?? 0;
  let trimmed = false;
  if (row !== undefined && op.trim !== undefined) {
    const low = lowAfter(row, op.trim, lastBefore, boundaries);
    trimmed = low.surplus > 0;
    if (trimmed) {
      writes.removeItems({ ...lifeOf(row), from: row.low, to: Math.min(low.low - 1, lastBefore) });
      writes.keepItemsFrom(lifeOf(row), low.low);
      row = { ...row, low: low.low, length: row.length - low.surplus };
    }
  }
  const first = last > lastBefore ? lastBefore + 1 : 0;
  if (row !== before) {
    writes.transcript(key, name, row);
    rows.setTranscript(key, name, row);
  }
  const changed = removed || truncatedAfter !== undefined || first > 0 || trimmed;
  if (changed) {
    const change: TranscriptChange = {
      name,
      ...(removed && { removed }),
      ...(truncatedAfter !== undefined && { truncatedAfter }),
      ...(first > 0 && { first, last }),
      length: row?.length ?? 0,
    };
    writes.change({ n, key, kind: "transcript", base: 0, time, val: JSON.stringify(change), refs: null });
  }
  const after = row;
  return (base) => ({ transcript: infoOf(after, base), first, last: first > 0 ? last : 0, skipped });
}

function lifeOf({ since, ord }: TranscriptRow): Pick<TranscriptRow, "since" | "ord"> {
  return { since, ord };
}

/** Whether every number from the lowest to the highest has its item. */
export function hasGaps({ low, last, length }: TranscriptRow): boolean {
  return length !== last - low + 1;
}

function truncate(
  row: TranscriptRow,
  keep: NonNullable<TranscriptOp["truncate"]>,
  boundaries: Boundaries | undefined,
): Pick<Boundaries, "kept" | "keptLast"> {
  if (boundaries !== undefined) return boundaries;
  const { low, length } = row;
  const wanted = "length" in keep ? keep.length : keep.afterSeq - low + 1;
  const kept = Math.max(0, Math.min(wanted, length));
  return { kept, keptLast: kept === 0 ? 0 : low + kept - 1 };
}

/** The lowest number that stays, and how many items go. */
function lowAfter(
  row: TranscriptRow,
  keep: NonNullable<TranscriptOp["trim"]>,
  lastBefore: number,
  boundaries: Boundaries | undefined,
): { readonly low: number; readonly surplus: number } {
  const { low, last, length } = row;
  const appended = last - lastBefore;
  const older = length - appended;
  /** Number of the item with so many others in front of it. */
  const seqAt = (index: number): number => {
    if (index >= older) return lastBefore + 1 + (index - older);
    return boundaries === undefined ? low + index : (boundaries.oldest[index] ?? last + 1);
  };
  if ("length" in keep) {
    const surplus = Math.max(0, length - keep.length);
    return { low: surplus === length ? last + 1 : seqAt(surplus), surplus };
  }
  const { beforeSeq } = keep;
  const ofOlder =
    boundaries === undefined
      ? Math.max(0, Math.min(beforeSeq - low, older))
      : boundaries.oldest.filter((seq) => seq < beforeSeq).length;
  const surplus = ofOlder + Math.max(0, Math.min(beforeSeq - lastBefore - 1, appended));
  return { low: Math.max(low, Math.min(keep.beforeSeq, last + 1)), surplus };
}
