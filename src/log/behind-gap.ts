/**
 * What is noted of records behind bytes that cannot be read (rule 6), and what tells of such bytes though they look torn: a record
 * names a change that is not there (rules 4 and 7).
 */
import { isChange, type LogRecord } from "../format/log-line.js";
import { changesTranscript, type TranscriptOp } from "../format/transcript-op.js";
import type { MentionedChange, SegmentLedger } from "./segment-ledger.js";
import { inLedger } from "./transcript-verdict.js";

/** In place of a transcript's name: all of a session. */
export const ALL = "";

/** Notes which sessions a record changes that may have counted or not. */
export function mention(ledger: SegmentLedger, record: LogRecord, offset: number): void {
  const { number, firstRevision = 0, behind } = ledger;
  if (record.g !== number) return;
  for (const op of record.ops) if (isChange(op)) behind.set(op.k, firstRevision + offset);
  for (const { k, d } of record.ops)
    if (d !== undefined) mentionTranscript(ledger, k, ALL, { revision: firstRevision + offset, items: 0 });
  for (const op of record.transcripts ?? [])
    if (changesTranscript(op))
      mentionTranscript(ledger, op.k, op.l, { revision: firstRevision + offset, items: op.a?.length ?? 0 });
}

/** Notes that a record changes a transcript, which may have counted or not. */
export function mentionTranscript(
  { transcriptsBehind }: SegmentLedger,
  key: string,
  name: string,
  change: MentionedChange,
): void {
  const ofKey = transcriptsBehind.get(key);
  if (ofKey === undefined) transcriptsBehind.set(key, new Map([[name, change]]));
  else ofKey.set(name, change);
}

/** Whether a revision of a key was a commit of this segment, for a writer has read it, and is not there. */
export function isMissing(
  { changed }: SegmentLedger,
  firstRevision: number,
  key: string,
  base: number,
): boolean {
  const latest = changed.get(key);
  return base >= firstRevision && (latest === undefined || (latest > 0 && latest < base));
}

/** Rule 7: whether a change that the writer has read is not there. */
export function isChangeMissing(ledger: SegmentLedger, firstRevision: number, op: TranscriptOp): boolean {
  const { k, l, b = 0 } = op;
  return b >= firstRevision && (inLedger(ledger, k, l)?.revision ?? 0) < b;
}
