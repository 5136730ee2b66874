/** What a watch is told of a change of a transcript. */
import { lengthOf } from "../../../format/transcript-head.js";
import type { TranscriptEffect } from "../../../log/transcript-verdict.js";
import type { Committed } from "../../../log/verdict.js";
import type { TranscriptChange } from "../../contract.js";

export interface TranscriptNews {
  readonly key: string;
  readonly revision: number;
  readonly modifiedAt: number;
  readonly transcript: TranscriptChange;
  /** About what it takes up in memory. */
  readonly bytes: number;
}

const NEWS_BYTES = 200;

export function newsOf(
  { op, before, after, items }: TranscriptEffect,
  { record, revision }: Committed,
): TranscriptNews {
  const first = items[0];
  const last = items.at(-1);
  const cut = op.x !== undefined && before !== undefined && op.x.before + op.x.n < before.total;
  const transcript = {
    name: op.l,
    ...(op.r !== undefined && before !== undefined && { removed: true as const }),
    ...(cut && { truncatedAfter: op.x.keep }),
    ...(first && last && { first: first.seq, last: last.seq }),
    length: after === undefined ? 0 : lengthOf(after),
  };
  const bytes = NEWS_BYTES + op.k.length + op.l.length;
  return { key: op.k, revision, modifiedAt: record.t, transcript, bytes };
}
