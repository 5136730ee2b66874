/**
 * What the caller of a commit is told, in the order of what was asked for: ops on records and on transcripts are composed apart.
 */
import type { Committed } from "../../log/verdict.js";
import type { EngineOp, RecordOp, TranscriptOp, TranscriptOutcome } from "../contract.js";
import type { PlannedTranscript } from "./commit-plan.js";
import type { SessionState } from "./session-table.js";
import { engineTranscript } from "./transcripts/transcript-reader.js";

export function split(given: readonly EngineOp[]): {
  readonly ops: readonly RecordOp[];
  readonly changes: readonly TranscriptOp[];
} {
  const changes = given.filter((op) => op.kind === "transcript");
  if (changes.length === 0) return { ops: given as readonly RecordOp[], changes };
  return { ops: given.filter((op) => op.kind !== "transcript"), changes };
}

/** Puts what belongs to ops on records in the place that they have among all ops. */
export function inOrderOf<T>(
  given: readonly EngineOp[],
  ofRecords: readonly T[],
): readonly (T | undefined)[] {
  if (ofRecords.length === given.length) return ofRecords;
  let next = 0;
  return given.map((op) => (op.kind === "transcript" ? undefined : ofRecords[next++]));
}

export function outcomesOf(
  given: readonly EngineOp[],
  ofTranscripts: readonly TranscriptOutcome[],
): { readonly transcripts?: readonly (TranscriptOutcome | undefined)[] } {
  if (ofTranscripts.length === 0) return {};
  let next = 0;
  return { transcripts: given.map((op) => (op.kind === "transcript" ? ofTranscripts[next++] : undefined)) };
}

/** What a commit made of an op on a transcript. */
export function outcomeOf(
  { composed, index, before }: PlannedTranscript,
  { transcripts }: Committed,
): TranscriptOutcome {
  const effect = transcripts?.[index];
  if (effect === undefined) return before;
  const { after, items } = effect;
  const skipped = effect.skipped.map((item) => composed.given[item] as number);
  return {
    transcript: after && engineTranscript(after),
    first: items[0]?.seq ?? 0,
    last: items.at(-1)?.seq ?? 0,
    skipped: [...composed.skipped, ...skipped].sort((a, b) => a - b),
  };
}

export function recordOf(state: SessionState | undefined): SessionState | undefined {
  return state?.stored === undefined ? undefined : state;
}
