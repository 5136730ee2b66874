/** The state of the fold over the lines of one segment: what `verdict.ts` has decided so far. */

import type { TranscriptHead } from "../format/transcript-head.js";
import { CHUNK_BYTES } from "../format/transcript-lines.js";

/** A transcript that the segment has changed. */
export interface LedgerTranscript {
  /** Undefined: there is none any more. */
  head: TranscriptHead | undefined;
  /** Of its latest change in this segment. */
  revision: number;
  /** The items that this segment appended and did not cut off again, by their ids. Some may be trimmed away. */
  readonly ids: Map<string, { readonly seq: number; readonly position: number }>;
}

/** A change of a transcript in a record behind a gap: it has this revision, if it counts. */
export interface MentionedChange {
  readonly revision: number;
  /** Items that it appends, unless some are left out for their ids. */
  readonly items: number;
}

/** What the decided lines of one segment add up to. */
export interface SegmentLedger {
  /** Number of the segment. */
  readonly number: number;
  /** Revision of the segment's first byte, from its header; undefined until the header was read. */
  firstRevision: number | undefined;
  /** Name of the segment's staging folder, from its header. */
  stage: string;
  /** Bytes at which a chunk of a transcript is full, from its header. */
  chunkBytes: number;
  /** Revision of the last commit before this segment, from its header. */
  after: number;
  /** Revision of the latest commit, in an earlier segment while this one has none. */
  lastRevision: number;
  /** How many lines were committed. */
  commits: number;
  sealed: boolean;
  /** Offset of the first bytes that cannot be read. */
  gap: number | undefined;
  /** Sessions that records behind the gap change: the revision that the last of these has, if it counts. */
  readonly behind: Map<string, number>;
  /** The latest number of each writer. */
  readonly numbers: Map<string, number>;
  /** Where the latest line that was read ends. */
  end: number;
  /** A process that sealed the segment met a gap there; this one need not have. */
  sealedGap: number | undefined;
  /** How many bytes the segment had before it was cut off, as the process knew that sealed it. */
  sealedBytes: number | undefined;
  /** Lowest first revision that the seal asks of the next segment; 0 when it does not ask. */
  wantedFirstRevision: number;
  /** The key's revision after its latest change in this segment; 0 after a delete. */
  readonly changed: Map<string, number>;
  /** Transcripts that this segment has changed, by key and name. */
  readonly transcripts: Map<string, Map<string, LedgerTranscript>>;
  /** Sessions that this segment has deleted, with the revision of the latest delete: only transcripts that came later are there. */
  readonly cleared: Map<string, number>;
  /** Transcripts that records behind the gap change, as `behind` has sessions. */
  readonly transcriptsBehind: Map<string, Map<string, MentionedChange>>;
  /** What was committed under a name in this segment. */
  readonly operations: Map<string, { readonly hash: string; readonly revision: number }>;
}

export function newLedger(number: number): SegmentLedger {
  return {
    number,
    firstRevision: undefined,
    stage: "",
    chunkBytes: CHUNK_BYTES,
    after: 0,
    lastRevision: 0,
    commits: 0,
    sealed: false,
    gap: undefined,
    behind: new Map(),
    numbers: new Map(),
    end: 0,
    sealedGap: undefined,
    sealedBytes: undefined,
    wantedFirstRevision: 0,
    changed: new Map(),
    transcripts: new Map(),
    cleared: new Map(),
    transcriptsBehind: new Map(),
    operations: new Map(),
  };
}

/**
 * A copy that later lines do not change, of a ledger without a gap; without `changed`, which may be long, and is what the states of
 * the sessions say.
 */
export function copyLedger(ledger: SegmentLedger): SegmentLedger {
  const transcripts = new Map<string, Map<string, LedgerTranscript>>();
  for (const [key, ofKey] of ledger.transcripts) {
    const copies = new Map<string, LedgerTranscript>();
    for (const [name, entry] of ofKey) copies.set(name, { ...entry, ids: new Map(entry.ids) });
    transcripts.set(key, copies);
  }
  return {
    ...ledger,
    transcripts,
    behind: new Map(),
    transcriptsBehind: new Map(),
    numbers: new Map(ledger.numbers),
    changed: new Map(),
    cleared: new Map(ledger.cleared),
    operations: new Map(ledger.operations),
  };
}
