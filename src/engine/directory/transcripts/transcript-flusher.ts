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
import { ChunkWriter, type OpenChunk } from "../../../entries/chunk-writer.js";
import { assertFolderIfAny } from "../../../entries/internal-folder.js";
import { isMissing, unlessMissing } from "../../../fs/missing.js";
import { createFile, syncDirectory } from "../../../fs/regular-file.js";
import { removeIfEmpty } from "../../../fs/remove-if-empty.js";
import { crc32Number } from "../../../format/crc32.js";
import { folderNameForKey } from "../../../format/session-key.js";
import { isSameChunk, type ChunkId } from "../../../format/transcript-head.js";
import type { Segment } from "../../../log/segment.js";
import { raiseMark } from "../durable-mark.js";
import { inParallel } from "../entry-flush.js";
import type { SessionLog } from "../session-log.js";
import { ChunkComposer, headerOf, inBatches } from "./chunk-composer.js";
import type { HotChunk, HotItem, HotTranscript } from "./hot-transcript.js";
import { chunksIn, Incomplete, TranscriptFiles } from "./transcript-files.js";
import type { ItemRecords } from "./item-records.js";
import { nameOfChunk, WrittenLines } from "./written-lines.js";

/** Each round that fails is another process's cut of the same transcript. */
const ROUNDS_MAX = 60;

export interface TranscriptFlushOptions {
  /** Chunks that begin with lines of another one are made as well. They cost a copy, so that a lazy flush leaves them. */
  readonly recuts: boolean;
  /** Every line is looked at, and every chunk made durable. */
  readonly durable: boolean;
}

const NEWLINE = Buffer.from("\n");

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
  readonly #composer: ChunkComposer;
  readonly #written = new WrittenLines();

  constructor(
    private readonly log: SessionLog,
    records: ItemRecords,
  ) {
    const { fs, layout, runtime } = log.options;
    this.#composer = new ChunkComposer(log, records);
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
    const from = durable ? 0 : this.#written.lastOf(hot) + 1;
    const byChunk = new Map<string, Target & { readonly items: HotItem[] }>();
    const enter = (id: ChunkId): HotItem[] => {
      const name = nameOfChunk(id);
      let target = byChunk.get(name);
      if (target === undefined) {
        const begun = chunks.find((chunk) => isSameChunk(chunk, id));
        byChunk.set(name, (target = { first: id.first, born: id.born, begun, items: [] }));
      }
      return target.items;
    };
    // One of which everything is trimmed away may be gone already, and what it began with.
    const isWanted = (id: ChunkId): boolean => hot.isLive(id) && !hot.isTrimmed(id);
    if (recuts) for (const chunk of chunks) if (isWanted(chunk)) enter(chunk);
    // Numbers grow along the items, and those of one chunk follow each other. A lazy flush wants the last ones of many.
    let of: ChunkId | undefined;
    let wanted: HotItem[] | undefined;
    for (let at = items.findLastIndex(({ seq }) => seq < from) + 1; at < items.length; at++) {
      const item = items[at] as HotItem;
      if (of === undefined || !isSameChunk(of, item.chunk)) {
        of = item.chunk;
        wanted = isWanted(of) ? enter(of) : undefined;
      }
      wanted?.push(item);
    }
    const targets = [...byChunk.values()];
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
    this.#written.complete(hot, cuts, last);
    return "done";
  }

  async #bringChunk(
    snapshot: Snapshot,
    target: Target,
    segment: Segment,
    options: TranscriptFlushOptions,
  ): Promise<Brought> {
    const { hot, cuts, last } = snapshot;
    const { begun } = target;
    const { layout } = this.log.options;
    const path = layout.chunk(hot.key, hot.name, target);
    const folder = layout.sessionFolder(hot.key);
    for (let attempt = 0; attempt < 2; attempt++) {
      const chunk = this.#writer.open(path, folder);
      if (chunk !== undefined) {
        await this.#fill(chunk, snapshot, target, options).finally(() => chunk.close());
        return "done";
      }
      if (hot.cuts !== cuts) return "cut meanwhile";
      if (begun?.recut !== undefined && !options.recuts) return "done";
      const content = begun && this.#composer.whole(hot, begun, last);
      if (content === undefined) {
        const missing = await this.#missing(snapshot, target, segment, options);
        if (missing === "begun") continue;
        return missing;
      }
      const sync = begun?.recut !== undefined || options.durable;
      const made = await this.#writer.make(path, folder, segment.ledger.stage, content, { sync });
      if (made === "fenced") return made;
      if (made === "there") continue;
      this.#written.enter(hot, cuts, target, { from: 0, to: content.length, crc: crc32Number(content) });
      if (!options.durable) return "done";
    }
    return "cut meanwhile";
  }

  /** What this process has written already is looked at by a checkpoint only, and by its checksum; all else is composed and compared. */
  async #fill(
    chunk: OpenChunk,
    { hot, cuts }: Snapshot,
    { begun, items, ...id }: Target,
    { durable }: TranscriptFlushOptions,
  ): Promise<void> {
    const header = begun?.recut === undefined ? begun : undefined;
    const firstAt = items[0]?.at ?? header?.headerBytes ?? 0;
    const whole = header !== undefined && firstAt === header.headerBytes;
    // What is in front may be damaged: the newline there keeps that from costing the first line.
    const wanted = whole ? 0 : Math.max(0, firstAt - NEWLINE.length);
    const written = this.#written.rangeOf(hot, id);
    const anew = durable && this.#written.isUnsynced(hot, id);
    const isThere =
      !anew &&
      written !== undefined &&
      written.from <= wanted &&
      written.to >= wanted &&
      (!durable || chunk.has(written));
    const range = isThere ? written : { from: wanted, to: wanted, crc: 0 };
    let { to, crc } = range;
    const place = async (at: number, bytes: Buffer): Promise<void> => {
      await (anew ? chunk.write(at, bytes) : chunk.place(at, bytes));
      crc = crc32Number(bytes, crc);
      to = at + bytes.length;
    };
    if (whole && to === 0) await place(0, headerOf(hot, header));
    else if (to < firstAt) await place(to, NEWLINE);
    for (const batch of inBatches(items.filter(({ at }) => at >= to))) {
      if (batch[0] !== items[0]) await this.log.options.runtime.yieldToEventLoop();
      await place(batch[0]?.at ?? to, this.#composer.linesOf(batch));
    }
    if (to > range.from) this.#written.enter(hot, cuts, id, { from: range.from, to, crc });
    if (durable) await this.#written.synced(hot, id, chunk.sync());
  }

  /**
   * A chunk, or what one begins with, is not there. Perhaps it was cut off by a commit that was not read yet (T4). If not, it was taken
   * away: then the lines that the log has stay there as long as it does. A checkpoint begins a chunk without what is lost: each line
   * that there is has its place in it nevertheless, and its first line tells which numbers were used. Of one that an older segment began
   * nobody knows the first line; then lines are kept in the quarantine.
   */
  async #missing(
    { hot, cuts }: Snapshot,
    target: Target,
    segment: Segment,
    { durable }: TranscriptFlushOptions,
  ): Promise<Brought | "begun"> {
    this.log.catchUp();
    if (hot.cuts !== cuts || hot.isTrimmed(target)) return "cut meanwhile";
    if (!durable) return "done";
    const { fs, layout, runtime, onWarning } = this.log.options;
    const path = layout.chunk(hot.key, hot.name, target);
    const { begun, items } = target;
    if (begun !== undefined) {
      const folder = layout.sessionFolder(hot.key);
      const { stage } = segment.ledger;
      const made = await this.#writer.make(path, folder, stage, headerOf(hot, begun), { sync: true });
      if (made === "fenced") return made;
      if (made === "made") onWarning(lostWarning(hot, path, lostOf(hot, begun)));
      return "begun";
    }
    const [folder = "", file = ""] = path.split("/").slice(-2);
    const kept = `${layout.quarantine}/${folder}.${file}.${runtime.randomName(4)}`;
    await createFile(fs, kept, this.#composer.linesOf(items), { sync: true });
    await syncDirectory(fs, layout.quarantine);
    const { key, name: transcript } = hot;
    onWarning({
      code: "transcript_quarantined",
      message:
        `${path} is missing: items of transcript ${JSON.stringify(transcript)} of session ${JSON.stringify(key)} that belong there are ` +
        `in ${kept}. Put the file back from a backup and append them, or remove the transcript.`,
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
      const begun = hot.chunks.find((chunk) => isSameChunk(chunk, next));
      return (begun?.header.before ?? files.headerOf(next).before) <= gone;
    });
  }
}

/** Items that a chunk was to begin with, and that the live log does not have. */
function lostOf(hot: HotTranscript, { recut }: HotChunk): number {
  const { before = 0, n = 0 } = recut ?? {};
  return n - hot.items.filter(({ position }) => position > before && position <= before + n).length;
}

function lostWarning({ key, name: transcript }: HotTranscript, path: string, items: number): StoreWarning {
  return {
    code: "transcript_damaged",
    message:
      `the file that ${path} begins with is missing: ${items} items of transcript ${JSON.stringify(transcript)} of session ` +
      `${JSON.stringify(key)} are lost. Items behind them are kept, and numbers go on. Append the lost ones from a backup, or go on ` +
      "without them.",
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
