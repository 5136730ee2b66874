/**
 * Brings the chunk files of transcripts up to the log: lazily for people who read them, and for a checkpoint before its segment goes.
 *
 * What is written, and the staging folder that new chunks go through, are of one instant (O3, O9), and the log is durable up to
 * there before anything is written (O8). A state that has gone on meanwhile does no harm: places stay what they are, until a cut; and
 * a chunk that was cut off meanwhile is not there any more, or dead.
 *
 *   T5  A checkpoint, behind its fence, looks at every line that the live log has, and makes each chunk durable, whoever wrote it.
 *       Then it syncs the folder, removes dead chunks, and syncs the folder again.
 *   T6  Dead is what was born up to the position that was read, and is not alive there. What is younger is left alone.
 */
import { SessionStoreError, type StoreWarning } from "../../../errors.js";
import { ChunkWriter } from "../../../entries/chunk-writer.js";
import { assertFolderIfAny } from "../../../entries/internal-folder.js";
import { isMissing, unlessMissing } from "../../../fs/missing.js";
import { createFile, syncDirectory } from "../../../fs/regular-file.js";
import { removeIfEmpty } from "../../../fs/remove-if-empty.js";
import { folderNameForKey } from "../../../format/session-key.js";
import { composeChunkHeader, composeItemLine } from "../../../format/transcript-lines.js";
import type { ChunkId } from "../../../format/transcript-head.js";
import type { Segment } from "../../../log/segment.js";
import { raiseMark } from "../durable-mark.js";
import { inParallel } from "../entry-flush.js";
import type { SessionLog } from "../session-log.js";
import type { HotChunk, HotItem, HotTranscript } from "./hot-transcript.js";
import { chunksIn, Incomplete, TranscriptFiles } from "./transcript-files.js";
import type { ItemRecords } from "./item-records.js";

/** Each round that fails is another process's cut of the same transcript. */
const ROUNDS_MAX = 60;

export interface TranscriptFlushOptions {
  /** Chunks that begin with lines of another one are made as well. They cost a copy, so that a lazy flush leaves them. */
  readonly recuts: boolean;
  /** Every line is looked at, and every chunk made durable. */
  readonly durable: boolean;
}

type Brought = "done" | "fenced" | "cut meanwhile";

/** What of a transcript is to be in its files, as of one instant. */
interface Snapshot {
  readonly hot: HotTranscript;
  readonly cuts: number;
  readonly targets: readonly Target[];
  readonly last: number;
}

/** Lines of one chunk. */
interface Target extends ChunkId {
  /** How the chunk begins, if the live log began it. */
  readonly born: number;
  readonly begun: HotChunk | undefined;
  readonly items: readonly HotItem[];
}

export class TranscriptFlusher {
  readonly #writer: ChunkWriter;
  /** Up to which item this process has written a transcript's lines, since how many cuts. */
  readonly #written = new WeakMap<HotTranscript, { readonly cuts: number; readonly last: number }>();

  constructor(
    private readonly log: SessionLog,
    private readonly records: ItemRecords,
  ) {
    const { fs, layout, runtime } = log.options;
    this.#writer = new ChunkWriter(fs, layout, runtime);
  }

  /** @returns Whether all is written; false when the process was fenced, or others cut meanwhile, and it must try again. */
  async flush(transcripts: Iterable<HotTranscript>, options: TranscriptFlushOptions): Promise<boolean> {
    const { log } = this;
    await log.end.becomeActive();
    const segment = log.active; // of one instant with what is taken: time has passed since the line above
    if (segment.ledger.sealed) return false;
    const snapshots: Snapshot[] = [];
    for (const hot of transcripts) {
      if (hot.isLetGo || log.doubts.isTranscriptInDoubt(hot.key, hot.name)) continue;
      const snapshot = this.#take(hot, options);
      if (snapshot.targets.length > 0) snapshots.push(snapshot);
    }
    if (snapshots.length === 0) return true;
    const { epoch } = log;
    const { position, ledger } = segment;
    await log.end.sync(segment); // log before data
    if (log.isCut(segment) || log.epoch !== epoch) return false;
    assertFolderIfAny(log.options.fs, log.options.layout.stageFolder(ledger.stage));
    if ((await raiseMark(log.options, segment, ledger.gap ?? position)) === "fenced") {
      await log.end.stageGone(segment);
      return false;
    }
    let cut = false;
    const complete = await inParallel(snapshots, async (snapshot) => {
      const brought = await this.#bring(snapshot, segment, options);
      if (brought === "cut meanwhile") cut = true;
      return brought !== "fenced";
    });
    if (!complete) await log.end.stageGone(segment);
    return complete && !cut;
  }

  /**
   * For a checkpoint of a segment, behind its fence: all its transcripts are in their files, and durable, and what is dead is gone.
   * @param stillOwner Whether this process still has the checkpoint.
   * @returns False if it has not.
   */
  async verify({ number }: Segment, stillOwner: () => boolean): Promise<boolean> {
    const { transcripts, options } = this.log;
    for (let round = 0; ; round++) {
      const changed = transcripts.changedIn(number);
      const keys = new Set([...transcripts.deletedIn(number), ...changed.map(({ key }) => key)]);
      if (keys.size === 0) return true;
      if (round > ROUNDS_MAX) throw unstable(options.layout.root);
      const { doubts } = this.log;
      const unknown = changed.find(
        (hot) => hot.isLostIn(number) || doubts.isTranscriptInDoubt(hot.key, hot.name),
      );
      if (unknown !== undefined) throw doubts.refusal(unknown.key);
      const cuts = changed.map((hot) => hot.cuts);
      const flushed = await this.flush(changed, { recuts: true, durable: true });
      if (!stillOwner()) return false;
      if (!flushed) continue;
      for (const key of keys) await this.#syncFolder(key);
      if (!stillOwner()) return false;
      // A chunk that is dead now may be what one that was not made yet begins with.
      if (!changed.every((hot, index) => hot.cuts === cuts[index])) continue;
      const written = new Set(changed);
      await inParallel([...keys], (key) => this.#removeDead(key, written, stillOwner));
      return stillOwner();
    }
  }

  /** Chunks whose lines are to be written. */
  #take(hot: HotTranscript, { recuts, durable }: TranscriptFlushOptions): Snapshot {
    const { cuts, chunks, items } = hot;
    const written = this.#written.get(hot);
    const from = durable || written === undefined || written.cuts !== cuts ? 0 : written.last + 1;
    const byChunk = new Map<string, { id: ChunkId; items: HotItem[] }>();
    const enter = (id: ChunkId): HotItem[] => {
      const name = `${id.first}-${id.born}`;
      let found = byChunk.get(name);
      if (found === undefined) byChunk.set(name, (found = { id, items: [] }));
      return found.items;
    };
    // One of which everything is trimmed away may be gone already, and what it began with.
    const isWanted = (id: ChunkId): boolean => hot.isLive(id) && !hot.isTrimmed(id);
    if (recuts) for (const chunk of chunks) if (isWanted(chunk)) enter(chunk);
    for (const item of items) if (item.seq >= from && isWanted(item.chunk)) enter(item.chunk).push(item);
    const targets: Target[] = [];
    for (const { id, items } of byChunk.values()) {
      const begun = chunks.find(({ first, born }) => first === id.first && born === id.born);
      targets.push({ first: id.first, born: id.born, begun, items });
    }
    return { hot, cuts, targets, last: hot.head?.last ?? 0 };
  }

  async #bring(snapshot: Snapshot, segment: Segment, options: TranscriptFlushOptions): Promise<Brought> {
    const { hot, cuts, targets, last } = snapshot;
    try {
      for (const target of targets) {
        const brought = await this.#bringChunk(snapshot, target, segment, options);
        if (brought !== "done") return brought;
      }
    } catch (error) {
      if (error instanceof Incomplete) return "cut meanwhile"; // its segment was let go of: another process has written it
      throw error;
    }
    if (hot.cuts === cuts) this.#written.set(hot, { cuts, last });
    return "done";
  }

  async #bringChunk(
    { hot, cuts, last }: Snapshot,
    { first, born, begun, items }: Target,
    segment: Segment,
    options: TranscriptFlushOptions,
  ): Promise<Brought> {
    const { layout } = this.log.options;
    const path = layout.chunk(hot.key, hot.name, { first, born });
    const folder = layout.sessionFolder(hot.key);
    for (let attempt = 0; attempt < 2; attempt++) {
      const lines = Buffer.concat(items.map((item) => this.#lineOf(item)));
      const whole =
        begun !== undefined &&
        begun.recut === undefined &&
        (items[0]?.at ?? begun.headerBytes) === begun.headerBytes;
      const bytes = whole ? Buffer.concat([headerOf(hot, begun), lines]) : lines;
      const at = whole ? 0 : (items[0]?.at ?? 0);
      if (await this.#writer.place(path, folder, at, bytes, options)) return "done";
      if (hot.cuts !== cuts) return "cut meanwhile";
      if (begun?.recut !== undefined && !options.recuts) return "done";
      const content = begun && this.#compose(hot, begun, last);
      if (content === undefined) return this.#missing(hot, cuts, { first, born, begun }, lines, options);
      const sync = begun?.recut !== undefined || options.durable;
      if ((await this.#writer.make(path, folder, segment.ledger.stage, content, { sync })) === "fenced")
        return "fenced";
    }
    return "cut meanwhile";
  }

  /** A chunk that the live log began, with its lines up to an item, for the log is durable up to there; undefined if what it begins with is not there. */
  #compose(hot: HotTranscript, chunk: HotChunk, last: number): Buffer | undefined {
    const parts = [headerOf(hot, chunk)];
    if (chunk.recut !== undefined) {
      const body = this.#bodyOf(hot, chunk.recut);
      if (body === undefined) return undefined;
      parts.push(body);
    }
    const behind = (chunk.recut?.before ?? 0) + (chunk.recut?.n ?? 0);
    for (const item of hot.items)
      if (
        item.chunk.first === chunk.first &&
        item.chunk.born === chunk.born &&
        item.position > behind &&
        item.seq <= last
      )
        parts.push(this.#lineOf(item));
    return Buffer.concat(parts);
  }

  /** Lines that a chunk takes over from an older one: from files, and from the live log. */
  #bodyOf(
    hot: HotTranscript,
    { first, before, n, body }: NonNullable<HotChunk["recut"]>,
  ): Buffer | undefined {
    if (n === 0) return Buffer.alloc(0);
    const { fs, layout } = this.log.options;
    const own = Buffer.concat(
      hot.items
        .filter(({ position }) => position > before && position <= before + n)
        .map((item) => this.#lineOf(item)),
    );
    const last = hot.lastInFiles?.position ?? 0;
    if (last <= before) return own.length === body ? own : undefined;
    const files = new TranscriptFiles(fs, layout, hot.key, hot.name);
    const upTo = { position: Math.min(last, before + n) };
    try {
      const chunks = hot.readable(files.chunks(), this.log.revision);
      const bytes = Buffer.concat([files.linesFrom(chunks, first, upTo, before, body - own.length), own]);
      return bytes.length === body ? bytes : undefined;
    } catch (error) {
      if (error instanceof Incomplete) return undefined;
      throw error;
    }
  }

  #lineOf(item: HotItem): Buffer {
    return composeItemLine(item, this.records.jsonOf(item));
  }

  /**
   * A chunk, or what one begins with, is not there. Perhaps it was cut off by a commit that was not read yet (T4). If not, it was taken
   * away: then the lines that the log has stay there as long as it does, and a checkpoint keeps them in the quarantine, or says that
   * there are none.
   */
  async #missing(
    hot: HotTranscript,
    cuts: number,
    { begun, ...id }: ChunkId & Pick<Target, "begun">,
    lines: Buffer,
    { durable }: TranscriptFlushOptions,
  ): Promise<Brought> {
    this.log.catchUp();
    if (hot.cuts !== cuts || hot.isTrimmed(id)) return "cut meanwhile";
    if (!durable) return "done";
    const { fs, layout, runtime, onWarning } = this.log.options;
    const path = layout.chunk(hot.key, hot.name, id);
    if (lines.length === 0) {
      onWarning(lostWarning(hot, path, begun?.recut?.n ?? 0));
      return "done";
    }
    const [folder = "", file = ""] = path.split("/").slice(-2);
    const kept = `${layout.quarantine}/${folder}.${file}.${runtime.randomName(4)}`;
    await createFile(fs, kept, lines, { sync: true });
    await syncDirectory(fs, layout.quarantine);
    const { key, name: transcript } = hot;
    onWarning({
      code: "transcript_quarantined",
      message:
        `${path}, or the file that it begins with, is missing: items of transcript ${JSON.stringify(transcript)} of session ` +
        `${JSON.stringify(key)} that belong there are in ${kept}. Put the file back from a backup and append them, or remove the ` +
        "transcript.",
      data: { key, transcript, path, kept },
    });
    return "done";
  }

  async #syncFolder(key: string): Promise<void> {
    const { fs, layout } = this.log.options;
    if (this.#hasFolder(key))
      await syncDirectory(fs, layout.sessionFolder(key)).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
  }

  /** Behind a link in place of it there is nothing of ours. */
  #hasFolder(key: string): boolean {
    const { fs, layout } = this.log.options;
    return unlessMissing(() => fs.lstat(layout.sessionFolder(key)))?.kind === "directory";
  }

  async #removeDead(
    key: string,
    written: ReadonlySet<HotTranscript>,
    stillOwner: () => boolean,
  ): Promise<boolean> {
    const { fs, layout } = this.log.options;
    if (!this.#hasFolder(key)) return true;
    const { active } = this.log; // of one instant with what is dead
    const dead: { readonly encoded: string; readonly id: ChunkId }[] = [];
    for (const [encoded, chunks] of chunksIn(fs, layout, key))
      for (const id of this.#deadAmong(key, encoded, chunks, written)) dead.push({ encoded, id });
    // What made it dead was read since the flush, perhaps: it must not be undone by a power cut when the file is gone.
    if (dead.length > 0) await this.log.end.sync(active);
    for (const { encoded, id } of dead) {
      if (!stillOwner()) return false;
      await this.#writer.remove(key, encoded, id);
    }
    if (dead.length > 0) await this.#syncFolder(key);
    await removeIfEmpty(fs, layout.sessionFolder(key));
    return true;
  }

  #deadAmong(
    key: string,
    encoded: string,
    chunks: readonly ChunkId[],
    written: ReadonlySet<HotTranscript>,
  ): ChunkId[] {
    const { transcripts, revision } = this.log;
    const deletedAt = transcripts.deletedAt(key);
    for (const hot of transcripts.of(key)) {
      // Of one that was changed in later segments only, a dead chunk may be what a chunk that is still to be made begins with.
      if (folderNameForKey(hot.name) !== encoded || !written.has(hot)) continue;
      const dead = chunks.filter((id) => id.born <= revision && !hot.isLive(id));
      const live = chunks.filter((id) => id.born <= revision && hot.isLive(id));
      return [...dead, ...this.#trimmed(hot, live)];
    }
    return chunks.filter(({ born }) => born <= deletedAt);
  }

  /** Chunks of which every item is trimmed away: the one behind them begins no later. */
  #trimmed(hot: HotTranscript, live: readonly ChunkId[]): ChunkId[] {
    const gone = hot.head?.gone ?? 0;
    if (gone === 0) return [];
    const { fs, layout } = this.log.options;
    const files = new TranscriptFiles(fs, layout, hot.key, hot.name);
    return live.filter((_id, index) => {
      const next = live[index + 1];
      if (next === undefined) return false;
      const begun = hot.chunks.find(({ first, born }) => first === next.first && born === next.born);
      return (begun?.header.before ?? files.headerOf(next).before) <= gone;
    });
  }
}

function headerOf(hot: HotTranscript, { header }: HotChunk): Buffer {
  return composeChunkHeader(hot.key, hot.name, header);
}

/** Of a file that is to begin with items of one that is missing, and that has no others. */
function lostWarning({ key, name: transcript }: HotTranscript, path: string, items: number): StoreWarning {
  return {
    code: "transcript_damaged",
    message:
      `${path} cannot be made, for the file that it begins with is missing: the ${items} newest items of transcript ` +
      `${JSON.stringify(transcript)} of session ${JSON.stringify(key)} are lost. Append them from a backup, or remove the transcript.`,
    data: { key, transcript, path, items },
  };
}

function unstable(path: string): SessionStoreError {
  return new SessionStoreError(
    "io_error",
    `transcripts in ${path} are cut faster than their files can be written, ${ROUNDS_MAX} times in a row. The log keeps them.`,
    { data: { path } },
  );
}
