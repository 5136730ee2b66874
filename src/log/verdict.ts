/**
 * The heart of the store: what becomes of a line of the commit log.
 *
 * Every process reads the same bytes in the same order and decides alike, without talking to anybody. So this
 * must be a pure fold over the lines of one segment: it looks at nothing but the line and what the lines
 * before it left behind; no clock, no file, no option. A line that does not count is void for one of two reasons:
 * it is malformed (rule 1), or it is superseded (rules 2 to 5), a good line that lost to another process.
 *
 *   Rule 1  A line whose checksum, JSON or shape fails, or that is before the header or a second one, is malformed.
 *           (A last line without its newline is not decided yet: the reader never shows it to us.)
 *   Rule 2  After the first seal everything in the segment is superseded. A line with a NUL byte is a seal too: it
 *           is a hole that a power cut left, and records behind it would be renumbered.
 *   Rule 3  A record composed for another segment (`g`) is superseded.
 *   Rule 4  A record names, for each key, the revision it was computed from (`b`). If the key has changed in
 *           this segment, that must be the very change (0 after a delete). If not, it must be older than the
 *           segment, and the op must not be a patch: the first change of a key in a segment carries the whole
 *           entry, so that no file is needed to understand a segment. Checks test, and count for nothing else.
 *   Rule 5  One op that fails supersedes the record. Otherwise it commits and takes the next revision.
 *
 * Rule 4 is safe because a writer composes a record for a segment only after it has read every earlier one to
 * its seal, and compares bases with that state itself (`engine/directory/committer.ts`).
 */
import type { LogLine, LogOp, LogRecord } from "../format/log-line.js";

/** What the decided lines of one segment add up to. */
export interface SegmentLedger {
  /** Number of the segment. */
  readonly number: number;
  /** Revision of the segment's first commit, from its header; undefined until the header was read. */
  firstRevision: number | undefined;
  /** Name of the segment's staging folder, from its header. */
  stage: string;
  /** Revision of the latest commit; `firstRevision - 1` while there is none. */
  lastRevision: number;
  sealed: boolean;
  /** Lowest first revision that the seal asks of the next segment; 0 when it does not ask. */
  wantedFirstRevision: number;
  /** The key's revision after its latest change in this segment; 0 after a delete. */
  readonly changed: Map<string, number>;
}

export type Verdict =
  | { readonly fate: "malformed" | "superseded"; readonly reason: string }
  | { readonly fate: "header" }
  | { readonly fate: "sealed"; readonly hole: boolean }
  | { readonly fate: "committed"; readonly revision: number; readonly record: LogRecord };

export function newLedger(number: number): SegmentLedger {
  return {
    number,
    firstRevision: undefined,
    stage: "",
    lastRevision: 0,
    sealed: false,
    wantedFirstRevision: 0,
    changed: new Map(),
  };
}

/** Decides one newline-terminated line and enters the outcome in the ledger. */
export function decide(ledger: SegmentLedger, line: LogLine): Verdict {
  if (ledger.sealed) return { fate: "superseded", reason: "behind the seal" }; // rule 2
  switch (line.kind) {
    case "malformed": // rule 1
      return { fate: "malformed", reason: line.reason };
    case "hole": // rule 2
      ledger.sealed = true;
      return { fate: "sealed", hole: true };
    case "header": {
      const { header } = line;
      if (ledger.firstRevision !== undefined) return { fate: "malformed", reason: "a second header" };
      if (header.segment !== ledger.number) return { fate: "malformed", reason: "header of another segment" };
      ledger.firstRevision = header.firstRevision;
      ledger.lastRevision = header.firstRevision - 1;
      ledger.stage = header.stage;
      return { fate: "header" };
    }
    case "seal":
      if (ledger.firstRevision === undefined) return { fate: "malformed", reason: "before the header" };
      ledger.sealed = true;
      ledger.wantedFirstRevision = line.seal.firstRevision ?? 0;
      return { fate: "sealed", hole: false };
    case "record":
      return decideRecord(ledger, line.record);
  }
}

function decideRecord(ledger: SegmentLedger, record: LogRecord): Verdict {
  if (ledger.firstRevision === undefined) return { fate: "malformed", reason: "before the header" };
  if (record.g !== ledger.number) return { fate: "superseded", reason: "composed for another segment" }; // rule 3
  for (const op of record.ops) {
    const refusal = refusalOf(ledger, ledger.firstRevision, op);
    if (refusal !== undefined) return { fate: "superseded", reason: refusal }; // rule 5
  }
  return { fate: "committed", revision: commit(ledger, record), record };
}

/** Rule 4 for one op: why it fails, or undefined. */
function refusalOf(ledger: SegmentLedger, firstRevision: number, op: LogOp): string | undefined {
  const changed = ledger.changed.get(op.k);
  if (changed === undefined) {
    if (op.p !== undefined) return "a patch cannot be the first change of a key in a segment";
    if (op.b !== undefined && op.b >= firstRevision) return "base is not older than the segment";
  } else {
    if (op.b !== undefined && op.b !== changed) return "base is not the latest revision";
    if (op.p !== undefined && changed === 0) return "a patch of a deleted session";
  }
  return undefined;
}

/** Enters a record that passed every rule, and returns the revision it takes. */
function commit(ledger: SegmentLedger, record: LogRecord): number {
  const revision = ++ledger.lastRevision;
  for (const op of record.ops) {
    if (op.d !== undefined) ledger.changed.set(op.k, 0);
    else if (op.s !== undefined || op.p !== undefined) ledger.changed.set(op.k, revision);
  }
  return revision;
}
