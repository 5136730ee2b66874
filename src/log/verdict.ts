/**
 * The heart of the store: what becomes of a line of the commit log.
 *
 * Every process reads the same bytes in the same order and decides alike, without talking. So this is a pure fold over the lines
 * of one segment: it looks at nothing but the line, where it stands, and what the lines before it left; no clock, file or option.
 *
 *   Rule 1  A line whose checksum is right and whose shape is unknown is malformed: it counts for nothing. Bytes whose checksum is
 *           wrong are a *gap*. (Torn writes and a last line without its newline never get here: `format/log-line.ts`.)
 *   Rule 2  After the first seal everything in the segment is void. What a power cut left ends a segment too, and nothing is
 *           appended behind it: the next segment's header says which commit it follows (`after`), one in front of that.
 *   Rule 3  A record of another segment (`g`), or one whose writer had come further already (`w`, `n`), is in a place that is
 *           not its own: the bytes that were there are lost, so it is a gap too. So is a header that is not the first line, and the seal of another segment.
 *   Rule 4  A record names, for each key, the revision it was computed from (`b`). If the key has changed in
 *           this segment, that must be the very change (0 after a delete). If not, it must be older than the
 *           segment, and the op no patch: the first change of a key in a segment carries the whole entry, so that
 *           no file is needed to understand a segment. Checks test, and count for nothing else. A writer has read the base that
 *           it names: if that should be in this segment, and is not, the bytes there are a gap, though they look torn.
 *   Rule 5  One op that fails voids the record. Otherwise it commits. Its revision is the segment's first revision plus
 *           the offset of its line, so that bytes that cannot be read renumber nothing.
 *           The next segment's header says the same with the revision that it follows (`after`).
 *   Rule 6  Behind a gap nothing is decided: it is only noted which sessions are mentioned. A process that read the bytes
 *           while they were good knows more, and decides more; no process ever decides differently.
 *
 *   Rules 7 to 10 are of transcripts: see transcript-verdict.ts.
 *   Rule 11 What was committed under a name in this segment is not committed under it again.
 *
 * Rule 4 is safe because a writer has read every earlier segment to its seal, and compares bases with that state itself.
 */
import {
  isChange,
  type LogHeader,
  type LogLine,
  type LogOp,
  type LogRecord,
  type LogSeal,
} from "../format/log-line.js";
import { CHUNK_BYTES } from "../format/transcript-lines.js";
import { isChangeMissing, isMissing, mention, mentionTranscript } from "./behind-gap.js";
import type { SegmentLedger } from "./segment-ledger.js";
import {
  clearTranscripts,
  commitTranscripts,
  transcriptRefusal,
  type TranscriptEffect,
} from "./transcript-verdict.js";

export type Verdict =
  | { readonly fate: "malformed"; readonly reason: string }
  | { readonly fate: "superseded"; readonly reason: string }
  | { readonly fate: "header" }
  | { readonly fate: "sealed" }
  /** In a gap, or behind one. */
  | { readonly fate: "undecided" }
  | Committed;

export interface Committed {
  readonly fate: "committed";
  readonly revision: number;
  readonly record: LogRecord;
  /** What became of the record's transcripts, in their order. */
  readonly transcripts: readonly TranscriptEffect[] | undefined;
}

/**
 * Decides one newline-terminated line and enters the outcome in the ledger.
 * @param offset Of the line's first byte in the segment.
 * @param end Offset behind its newline.
 * @param from Offset of the torn writes that it is glued to: in front of a gap they may be what is left of a good line.
 */
export function decide(
  ledger: SegmentLedger,
  line: LogLine,
  offset: number,
  end: number,
  from = offset,
): Verdict {
  if (ledger.sealed) return { fate: "superseded", reason: "behind the seal" }; // rule 2
  if (line.kind !== "seal") ledger.end = end;
  switch (line.kind) {
    case "malformed": // rule 1
      return { fate: "malformed", reason: line.reason };
    case "unreadable": // rule 1
      return unreadable(ledger, from);
    case "header": {
      const { header } = line;
      if (offset > 0 || header.segment !== ledger.number) return unreadable(ledger, from); // rule 3
      ledger.firstRevision = header.firstRevision;
      ledger.after = header.after;
      ledger.lastRevision = header.after;
      ledger.stage = header.stage;
      ledger.chunkBytes = header.chunk ?? CHUNK_BYTES;
      return { fate: "header" };
    }
    case "seal":
      if (ledger.firstRevision === undefined) return { fate: "malformed", reason: "before the header" };
      if (line.seal.seal !== ledger.number + 1) return unreadable(ledger, from);
      return seal(ledger, line.seal);
    case "record":
      return decideRecord(ledger, line.record, offset, from);
  }
}

/** Rule 2. If the segment was cut off, whoever has not read as much as it had before is in doubt. */
function seal(ledger: SegmentLedger, { firstRevision: wanted = 0, gap, bytes }: LogSeal): Verdict {
  if (bytes !== undefined && ledger.end < bytes) ledger.gap ??= gap ?? ledger.end;
  ledger.sealed = true;
  ledger.wantedFirstRevision = wanted;
  ledger.sealedGap = gap;
  ledger.sealedBytes = bytes;
  return { fate: "sealed" };
}

/**
 * Settles with the next segment's header what a sealed segment left open: the process that made it may have known that a power
 * cut left the bytes that cannot be read; or it may have read a commit that is not there any more, and looks as if it never was.
 * @returns False if the header takes back what this process has decided.
 */
export function settle(sealed: SegmentLedger, { after, firstRevision: next }: LogHeader): boolean {
  const { firstRevision = 0, gap, lastRevision } = sealed;
  if (lastRevision > after) return false;
  if (gap !== undefined && after < firstRevision + gap) {
    sealed.gap = undefined;
    sealed.behind.clear();
    sealed.transcriptsBehind.clear();
  } else if (lastRevision < after && after < next - 1) sealed.gap ??= after - firstRevision;
  return true;
}

function decideRecord(ledger: SegmentLedger, record: LogRecord, offset: number, from: number): Verdict {
  if (ledger.firstRevision === undefined) return { fate: "malformed", reason: "before the header" };
  const { w, n, g } = record;
  if (g !== ledger.number || n <= (ledger.numbers.get(w) ?? 0)) return unreadable(ledger, from); // rule 3
  const revision = ledger.firstRevision + offset;
  if (ledger.gap !== undefined) {
    mention(ledger, record, offset); // rule 6
    return { fate: "undecided" };
  }
  for (const { k, b = 0 } of record.ops) {
    if (!isMissing(ledger, ledger.firstRevision, k, b)) continue;
    ledger.gap = b - ledger.firstRevision;
    ledger.behind.set(k, b);
    mention(ledger, record, offset);
    return { fate: "undecided" }; // rule 4
  }
  for (const op of record.transcripts ?? []) {
    if (!isChangeMissing(ledger, ledger.firstRevision, op)) continue;
    ledger.gap = (op.b ?? 0) - ledger.firstRevision;
    mentionTranscript(ledger, op.k, op.l, { revision: op.b ?? 0, items: 0 });
    mention(ledger, record, offset);
    return { fate: "undecided" }; // rule 7
  }
  ledger.numbers.set(w, n);
  if (record.o !== undefined && ledger.operations.has(record.o[0]))
    return { fate: "superseded", reason: "it was done before" }; // rule 11
  for (const op of record.ops) {
    const refusal = refusalOf(ledger, op);
    if (refusal !== undefined) return { fate: "superseded", reason: refusal }; // rule 5
  }
  for (const op of record.transcripts ?? []) {
    const refusal = transcriptRefusal(ledger, op);
    if (refusal !== undefined) return { fate: "superseded", reason: refusal }; // rule 8
  }
  return { fate: "committed", revision, record, transcripts: commit(ledger, record, revision) };
}

/** Rules 1 and 3. */
function unreadable(ledger: SegmentLedger, from: number): Verdict {
  ledger.gap ??= from;
  return { fate: "undecided" };
}

/** Rule 4 for one op: why it fails, or undefined. */
function refusalOf(ledger: SegmentLedger, op: LogOp): string | undefined {
  const changed = ledger.changed.get(op.k);
  if (changed === undefined) {
    if (op.p !== undefined) return "a patch cannot be the first change of a key in a segment";
  } else {
    if (op.b !== undefined && op.b !== changed) return "base is not the latest revision";
    if (op.p !== undefined && changed === 0) return "a patch of a deleted session";
  }
  return undefined;
}

/** Enters a record that passed every rule. */
function commit(
  ledger: SegmentLedger,
  record: LogRecord,
  revision: number,
): readonly TranscriptEffect[] | undefined {
  ledger.lastRevision = revision;
  ledger.commits += 1;
  for (const op of record.ops) {
    if (isChange(op)) ledger.changed.set(op.k, op.d === undefined ? revision : 0);
    if (op.d !== undefined) clearTranscripts(ledger, op.k, revision);
  }
  if (record.o !== undefined) ledger.operations.set(record.o[0], { hash: record.o[1], revision });
  return commitTranscripts(ledger, record, revision);
}
