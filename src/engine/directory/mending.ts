/**
 * Mends a damaged log: the work of the doctor, for when no process is left that had read the damaged bytes.
 *
 * No other process may have the store open, for what one of them knows better would be lost. Of each session in doubt the
 * best state is taken that anything still has: its file, the log in front of the damage, and the records behind it, of which
 * nobody can know for certain whether they counted; of transcripts likewise (transcript-mending.ts). What could not be proved
 * is listed, with its candidates, durably and before anything else is written. Then everything is checkpointed as ever, and the
 * damaged segments are kept in the quarantine.
 *
 * A crash in the middle leaves the log as it was, and some files newer than before; the next run decides, and lists, the same.
 */
import { isSessionDamaged, type StoreWarning } from "../../errors.js";
import { applyPatch } from "../../format/stored-patch.js";
import { isChange, parseLogLines, type LogOp, type LogRecord } from "../../format/log-line.js";
import { bytesOf } from "../../log/cut-segment.js";
import type { Segment } from "../../log/segment.js";
import { catalogFromFiles, type CatalogSource } from "./catalog-loader.js";
import { liveRows } from "./catalog/layer.js";
import { listGuesses, nameOf, type Guess } from "./guessed-sessions.js";
import type { SessionLog } from "./session-log.js";
import { SessionState } from "./session-table.js";
import { runInSlices } from "./time-slices.js";
import { mendTranscripts } from "./transcripts/transcript-mending.js";

/**
 * Decides about every session in doubt, so that a checkpoint can write it.
 * @returns Whether there was anything to mend.
 */
export async function mend(
  log: SessionLog,
  source: CatalogSource,
  onWarning: (warning: StoreWarning) => void,
): Promise<boolean> {
  log.catchUp();
  log.doubts.lookAtEnd(log.active);
  if (log.doubts.damagedSegment === 0) return false;
  if (log.active.damaged) log.end.seal(log.active);
  await log.end.becomeActive();
  const damaged = log.doubts.damagedSegments();
  const records = damaged.flatMap((segment) => recordsBehindGap(log, segment));
  // A file may be all that is left of a session that was made in the damaged bytes: no catalog has it then.
  const { layers } = await runInSlices(catalogFromFiles(source, 0), log.options.runtime);
  const made: string[] = [];
  for (const rows of liveRows(layers))
    for (const { key, revision } of rows) if (revision >= (damaged[0]?.firstRevision ?? 0)) made.push(key);
  const keys = new Set([...log.hot.keys(), ...log.doubts.mentioned().keys(), ...made]);
  const decided: SessionState[] = [];
  const guesses: Guess[] = [];
  const deletes = new Map<string, readonly number[]>();
  for (const key of keys) {
    if (!log.doubts.isInDoubt(key)) continue;
    try {
      decided.push(log.doubts.read(key));
    } catch (error) {
      if (!isSessionDamaged(error)) throw error;
      const { kept, candidates, deletes: ofKey } = stateLeft(log, key, records);
      deletes.set(key, ofKey);
      guesses.push({ key, revision: kept?.stored === undefined ? 0 : kept.revision, candidates });
      if (kept !== undefined) decided.push(kept);
    }
  }
  const isDeleted = (key: string, revision: number): boolean => deletes.get(key)?.includes(revision) ?? true;
  const transcripts = await mendTranscripts(log, damaged, isDeleted);
  guesses.push(...transcripts.guesses);
  const last = damaged.at(-1) ?? log.active;
  const revisions = new Map(transcripts.decided);
  for (const { key, revision } of decided) revisions.set(nameOf({ key }), revision);
  const listed = await listGuesses(log, last.number, guesses, revisions);
  for (const guess of listed.guesses) onWarning(warningOf(guess, last.path, listed.path));
  log.settleDoubts(damaged, decided);
  return true;
}

interface Placed {
  readonly revision: number;
  readonly record: LogRecord;
}

/** What can still be read behind the first gap of a segment, and in front of its last seal. */
function recordsBehindGap(log: SessionLog, segment: Segment): Placed[] {
  const bytes = bytesOf(log.options.fs, segment);
  const placed: Placed[] = [];
  let inFrontOfSeal: number | undefined;
  let start = segment.ledger.gap ?? bytes.length;
  for (let end = bytes.indexOf(0x0a, start); end >= 0; end = bytes.indexOf(0x0a, start)) {
    for (const { at, line } of parseLogLines(bytes, start, end)) {
      if (line.kind === "seal") inFrontOfSeal = placed.length;
      if (line.kind === "record" && line.record.g === segment.number)
        placed.push({ revision: segment.firstRevision + at, record: line.record });
    }
    start = end + 1;
  }
  return placed.slice(0, inFrontOfSeal);
}

/** The newest state of a session that follows from what is left: records build on each other as far as they name their bases. */
function stateLeft(
  log: SessionLog,
  key: string,
  records: readonly Placed[],
): {
  readonly kept: SessionState | undefined;
  readonly candidates: readonly number[];
  /** Revisions of the deletes among them. */
  readonly deletes: readonly number[];
} {
  const file = log.cold.readFile(key);
  let best = log.hot.get(key);
  const candidates = best === undefined ? [] : [best.revision];
  const deletes: number[] = [];
  if (file.status === "present" && file.revision > (best?.revision ?? 0)) {
    best = log.cold.stateOf(key, file);
    candidates.push(best.revision);
  }
  for (const { revision, record } of records) {
    const op = record.ops.find((one) => one.k === key);
    if (op === undefined || !isChange(op) || revision <= (best?.revision ?? 0)) continue;
    const after = afterOp(log, op, best, revision, record.t);
    if (after === undefined) continue;
    best = after;
    candidates.push(after.stored === undefined ? 0 : revision);
    if (after.stored === undefined) deletes.push(revision);
  }
  return { kept: best, candidates, deletes };
}

/** @returns Undefined if the op builds on a state that is lost, or was overtaken. */
function afterOp(
  log: SessionLog,
  op: LogOp,
  before: SessionState | undefined,
  revision: number,
  modifiedAt: number,
): SessionState | undefined {
  const { decode } = log.options;
  const base = before?.base ?? 0;
  if (op.b !== undefined && op.b > 0 && op.b < base) return undefined; // on nothing: a deletion may be what is lost
  if (op.p === undefined) return new SessionState(op.k, revision, modifiedAt, op.s, decode);
  if (before?.stored === undefined || op.b !== base) return undefined;
  return new SessionState(op.k, revision, modifiedAt, applyPatch(before.stored, op.p, op.u ?? []), decode);
}

function warningOf(guess: Guess, path: string, list: string): StoreWarning {
  const { key, transcript, revision, candidates } = guess;
  const what =
    candidates.length === 0
      ? "nothing of it is left"
      : revision === 0
        ? "it is deleted"
        : `revision ${revision} was kept`;
  const whose = `session ${JSON.stringify(key)}`;
  const subject =
    transcript === undefined
      ? `the latest state of ${whose} was`
      : `the latest changes of transcript ${JSON.stringify(transcript)} of ${whose} were`;
  return {
    code: transcript === undefined ? "session_guessed" : "transcript_guessed",
    message:
      `${subject} in damaged bytes of ${path} or behind them, and cannot be proved: ${what}. Look whether something is missing; ` +
      `the damaged segment is in the quarantine, and so is the list of all such sessions, ${list}.`,
    data: {
      key,
      ...(transcript !== undefined && { transcript }),
      path,
      revision,
      candidates: candidates.join(", "),
      list,
    },
  };
}
