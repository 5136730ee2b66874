/**
 * The doctor's work on transcripts (see `../mending.ts`): reads the live log anew, and takes of records behind damaged bytes what may
 * have counted.
 *
 * Of each transcript the best that anything has is taken: what the log says in front of the damage; its files, where they tell of a
 * later commit; then the ops behind the damage that fit on that. An op that names a change that is lost is taken all the same: its
 * items are better kept behind a hole than not at all. Where a later segment says what the head was, that is the truth, and
 * the guess only fills the files.
 *
 * Nothing is written here, apart from syncing files that are taken as they are: the checkpoints that follow write the rest.
 */
import { ChunkWriter } from "../../../entries/chunk-writer.js";
import { syncDirectory } from "../../../fs/regular-file.js";
import { isChange, type LogRecord } from "../../../format/log-line.js";
import type { TranscriptHead } from "../../../format/transcript-head.js";
import { changesTranscript, type TranscriptOp } from "../../../format/transcript-op.js";
import { bytesOf, linesIn } from "../../../log/cut-segment.js";
import { newLedger, type LedgerTranscript, type SegmentLedger } from "../../../log/segment-ledger.js";
import type { Segment } from "../../../log/segment.js";
import {
  clearTranscripts,
  commitTranscripts,
  inLedger,
  transcriptRefusal,
  type TranscriptEffect,
} from "../../../log/transcript-verdict.js";
import { decide } from "../../../log/verdict.js";
import { nameOf, type Guess } from "../guessed-sessions.js";
import type { SessionLog } from "../session-log.js";
import { HotTranscripts } from "./hot-transcripts.js";
import { TranscriptFiles } from "./transcript-files.js";

interface InFiles {
  readonly head: TranscriptHead;
  readonly revision: number;
}

export interface MendedTranscripts {
  /** What nothing proves. */
  readonly guesses: readonly Guess[];
  /** Revisions that were decided for, by the name of what they are about. */
  readonly decided: ReadonlyMap<string, number>;
}

/**
 * @param damaged Segments that cannot be read whole.
 * @param isDeleted Whether a delete behind damaged bytes is taken to have counted.
 */
export async function mendTranscripts(
  log: SessionLog,
  damaged: readonly Segment[],
  isDeleted: (key: string, revision: number) => boolean,
): Promise<MendedTranscripts> {
  const doctor = new Doctor(log, damaged, isDeleted);
  doctor.readAll();
  await doctor.syncFiles();
  const mended = doctor.mended();
  log.transcripts.take(doctor.transcripts);
  return mended;
}

class Doctor {
  readonly transcripts = new HotTranscripts();
  /** Transcripts that damaged segments change behind what cannot be read, with the revisions of these changes. */
  readonly #behind = new Map<
    string,
    { readonly key: string; readonly name: string; readonly revisions: number[] }
  >();
  /** Transcripts of which the files are taken as they are. */
  readonly #adopted = new Map<string, { readonly key: string; readonly name: string }>();

  constructor(
    private readonly log: SessionLog,
    private readonly damaged: readonly Segment[],
    private readonly isDeleted: (key: string, revision: number) => boolean,
  ) {}

  readAll(): void {
    for (const segment of this.log.segments) this.#read(segment);
  }

  /** Neither a file that is as new proves it, nor a later segment. */
  mended(): MendedTranscripts {
    const last = this.damaged.at(-1)?.number ?? 0;
    const guesses: Guess[] = [];
    const decided = new Map<string, number>();
    for (const { key, name, revisions } of this.#behind.values()) {
      const inFiles = this.#inFiles(key, name)?.revision ?? 0;
      const hot = this.transcripts.get(key, name);
      const revision = hot?.revision ?? inFiles;
      decided.set(nameOf({ key, transcript: name }), revision);
      const isLater = this.log.segments.some(
        ({ number, ledger }) => number > last && inLedger(ledger, key, name) !== undefined,
      );
      if (!isLater && inFiles < (revisions.at(-1) ?? 0))
        guesses.push({ key, transcript: name, revision, candidates: revisions });
    }
    return { guesses, decided };
  }

  async syncFiles(): Promise<void> {
    const { fs, layout, runtime } = this.log.options;
    const writer = new ChunkWriter(fs, layout, runtime);
    for (const { key, name } of this.#adopted.values()) {
      const folder = layout.sessionFolder(key);
      for (const id of new TranscriptFiles(fs, layout, key, name).chunks()) {
        const chunk = writer.open(layout.chunk(key, name, id), folder);
        await chunk?.sync().finally(() => chunk.close());
      }
      await syncDirectory(fs, folder);
    }
  }

  #read(segment: Segment): void {
    const { number, ledger: known } = segment;
    const ledger = newLedger(number);
    ledger.firstRevision = segment.firstRevision; // its header may be what is damaged
    ledger.chunkBytes = known.chunkBytes;
    const isDamaged = this.damaged.includes(segment);
    const gap = isDamaged ? (known.gap ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
    const lines = [
      ...linesIn(bytesOf(this.log.options.fs, segment, 0, isDamaged ? undefined : segment.position)),
    ];
    const seal = lines.findLastIndex(({ line }) => line.kind === "seal");
    let behind = false;
    for (const [index, { at, end, from, line }] of lines.entries()) {
      if (line.kind === "header") continue;
      if (!behind && from < gap) {
        const verdict = decide(ledger, line, at, end, from);
        if (verdict.fate === "committed")
          this.transcripts.committed(segment, verdict.record, verdict.revision, verdict.transcripts);
        continue;
      }
      if (!behind) this.#adoptFiles(ledger);
      behind = true;
      if (line.kind === "record" && line.record.g === number && (seal < 0 || index < seal))
        this.#guess(segment, ledger, line.record, segment.firstRevision + at);
    }
    if (isDamaged && !behind) this.#adoptFiles(ledger);
  }

  #guess(segment: Segment, ledger: SegmentLedger, record: LogRecord, revision: number): void {
    const ops = record.ops.filter(({ k, d }) => d !== undefined && this.isDeleted(k, revision));
    for (const { k } of ops) clearTranscripts(ledger, k, revision);
    const effects = record.transcripts?.map((op) => this.#guessOp(segment, ledger, record, op, revision));
    this.transcripts.committed(segment, { ...record, ops: ops.filter(isChange) }, revision, effects);
  }

  #guessOp(
    segment: Segment,
    ledger: SegmentLedger,
    record: LogRecord,
    given: TranscriptOp,
    revision: number,
  ): TranscriptEffect {
    const { k, l } = given;
    if (changesTranscript(given)) {
      const name = nameOf({ key: k, transcript: l });
      const behind = this.#behind.get(name);
      if (behind === undefined) this.#behind.set(name, { key: k, name: l, revisions: [revision] });
      else behind.revisions.push(revision);
    }
    if (inLedger(ledger, k, l) === undefined) this.#adopt(ledger, k, l, segment.firstRevision - 1);
    const now = inLedger(ledger, k, l);
    const isInFiles = now?.revision === revision;
    const op = isInFiles ? { ...this.#restOf(given, revision), b: revision } : given;
    const nothing = { op, before: now?.head, after: now?.head, chunks: [], items: [], skipped: [] };
    if ((now?.revision ?? 0) > revision || transcriptRefusal(ledger, op) !== undefined) return nothing;
    const [effect = nothing] = commitTranscripts(ledger, { ...record, transcripts: [op] }, revision) ?? [];
    return effect;
  }

  /** What files that tell of the op's commit do not have of it: a process may have died while it wrote them. */
  #restOf({ k, l, a = [] }: TranscriptOp, revision: number): TranscriptOp {
    const { fs, layout } = this.log.options;
    const files = new TranscriptFiles(fs, layout, k, l);
    for (const { id, item } of files.appendedLast(revision)) {
      const json = JSON.stringify(item);
      const index = a.findLastIndex((one) => one.id === id && one.json === json);
      return index < 0 || index === a.length - 1 ? { k, l } : { k, l, a: a.slice(index + 1) };
    }
    return { k, l, a };
  }

  /** Where files tell of later commits than the log in front of the damage, they are the better witness. */
  #adoptFiles(ledger: SegmentLedger): void {
    for (const [key, ofKey] of ledger.transcripts)
      for (const [name, { revision }] of ofKey) this.#adopt(ledger, key, name, revision);
  }

  #adopt(ledger: SegmentLedger, key: string, name: string, known: number): void {
    const { segments } = this.log;
    if (
      segments.some(
        ({ number, ledger: later }) => number > ledger.number && later.transcripts.get(key)?.has(name),
      )
    )
      return;
    const inFiles = this.#inFiles(key, name);
    if (inFiles === undefined || inFiles.revision <= known) return;
    let ofKey = ledger.transcripts.get(key);
    if (ofKey === undefined) ledger.transcripts.set(key, (ofKey = new Map<string, LedgerTranscript>()));
    ofKey.set(name, { head: inFiles.head, revision: inFiles.revision, ids: new Map() });
    this.transcripts.forget(key, name);
    this.#adopted.set(nameOf({ key, transcript: name }), { key, name });
  }

  /** Undefined where the files are not whole, or there are none. */
  #inFiles(key: string, name: string): InFiles | undefined {
    const { fs, layout } = this.log.options;
    return new TranscriptFiles(fs, layout, key, name).wholeHead();
  }
}
