/**
 * Checkpoint of the lowest live segment: its sessions into their files, then the segment goes.
 *
 * Ordering rule O10. Any number of processes may do this at once, each may be stopped for ever or for a day at any
 * call, and the next process finishes it:
 *
 *   1. Fence: remove every staging folder up to g. A writer of an older state that was suspended fails from now on,
 *      however late it wakes.
 *   2. For each key of g: the file must have a (revision, checksum) that the log itself gives in g or later, or the
 *      newest state is written (through the active segment's folder) and looked at again. Then fdatasync that very
 *      descriptor and fsync the session folder. A key that should be absent is absent.
 *      The same with the chunks of every transcript that g changed; then dead ones go (T5, transcript-flusher.ts).
 *   3. fsync the store folder.
 *   4. fdatasync the active segment: step 2 may have leaned on it.
 *   5. Write `catalog-g`: the previous one with what g changed (catalog/catalog-writer.ts). fsync `log/`, unlink segment g,
 *      fsync `log/`, drop the older catalogs and parts, and the hints.
 *
 * Strictly in order: nothing of g+1 is fenced before g is unlinked.
 */
import { errnoOf, SessionStoreError } from "../../errors.js";
import { interpret, type EntryFile, type EntryWriter } from "../../entries/entry-file.js";
import { fence } from "../../entries/fence.js";
import { ignoreMissing } from "../../fs/missing.js";
import { assertFolder, syncDirectory } from "../../fs/regular-file.js";
import { hintNumber, liveRun, segmentName } from "../../format/layout.js";
import { LINE_BYTES_MAX } from "../../format/limits.js";
import { referencesIn } from "../../format/stored-references.js";
import type { Segment } from "../../log/segment.js";
import { catalogsFrom, type CatalogSource } from "./catalog-loader.js";
import { CatalogWriter } from "./catalog/catalog-writer.js";
import { blobName, type Change } from "./catalog/row.js";
import { inParallel, type EntryFlusher } from "./entry-flush.js";
import type { Operations } from "./operations.js";
import type { SessionLog } from "./session-log.js";
import type { SessionState } from "./session-table.js";
import type { Space } from "./space.js";
import type { TranscriptFlusher } from "./transcripts/transcript-flusher.js";

/** Each repair competes only with lazy writers of the same key, which are half a second apart. */
const VERIFY_ATTEMPTS_MAX = 60;

export class Checkpointer {
  readonly #catalogs: CatalogWriter;
  #stopped = false;

  constructor(
    private readonly log: SessionLog,
    private readonly flusher: EntryFlusher,
    private readonly writer: EntryWriter,
    private readonly transcripts: TranscriptFlusher,
    private readonly operations: Operations,
    private readonly source: CatalogSource,
    private readonly space: Pick<Space, "catalogBytes">,
  ) {
    this.#catalogs = new CatalogWriter(log, source);
  }

  /**
   * Gives up between two sessions what is under way: another process, or the next one to open the store, finishes it.
   */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Checkpoints the lowest live segment, if another one follows it.
   * @returns Whether there may be more to do.
   */
  async checkpointLowest(): Promise<boolean> {
    await this.log.end.becomeActive();
    const lowest = await this.#removeGarbage();
    const [segment] = this.log.segments;
    if (segment === undefined || segment === this.log.active) return false;
    if (segment.number !== lowest) return true; // read it first: strictly in order
    if (this.log.doubts.damagedSegment > 0) return false; // a process that could read it all does that, or a person asks for it
    const { epoch } = this.log;
    const { fs, layout } = this.log.options;
    await fence(fs, layout, segment.number);
    const keys = [...this.log.changedIn(segment).keys()];
    if (!(await this.#verifyAll(segment, keys, epoch))) return true; // others finished it meanwhile
    if (!(await this.transcripts.verify(segment, () => this.#isOwner(segment, epoch)))) return true;
    await syncDirectory(fs, layout.root);
    await this.log.end.sync(this.log.active);
    if (!(await this.operations.save(segment)) || !this.#isOwner(segment, epoch)) return true;
    if (!(await this.#writeCatalog(segment, epoch))) return true;
    await syncDirectory(fs, layout.log);
    await this.#remove(segment);
    await syncDirectory(fs, layout.log);
    if (this.log.epoch === epoch) this.log.dropBelow(segment.number + 1);
    await this.#catalogs.tidy(segment.number);
    await this.#removeHints(segment.number);
    return true;
  }

  /** A segment that others could not read whole is kept: a person may want to look. */
  async #remove({ path, number, ledger }: Segment): Promise<void> {
    const { fs, layout, runtime, onWarning } = this.log.options;
    if (ledger.sealedGap === undefined) return ignoreMissing(fs.later.unlink(path));
    const aside = `${layout.quarantine}/${segmentName(number)}.${runtime.randomName(8)}`;
    await ignoreMissing(fs.later.rename(path, aside));
    onWarning({
      code: "log_mended",
      message:
        `${path} was damaged at byte ${ledger.sealedGap}. This process has written all its sessions to their files; the ` +
        `damaged segment is kept as ${aside}.`,
      data: { path, segment: number, offset: ledger.sealedGap, kept: aside },
    });
  }

  /** Segments that are cut off from the log: an unlink that a power cut undid (O11). And what others have checkpointed meanwhile. */
  async #removeGarbage(): Promise<number> {
    const { fs, layout, runtime, onWarning } = this.log.options;
    const numbers = this.log.listSegments();
    const lowest = liveRun(numbers)[0] ?? 0;
    const garbage = numbers.filter((candidate) => candidate < lowest);
    // The catalog of a segment is durable before the segment goes, so a later one proves that it may.
    const checkpointed = garbage.length === 0 ? 0 : (catalogsFrom(this.source, 0)[0] ?? 0);
    for (const number of garbage) {
      const path = layout.segment(number);
      const aside = `${layout.quarantine}/${segmentName(number)}.${runtime.randomName(8)}`;
      const proven = number <= checkpointed;
      const message = proven
        ? `${path} was checkpointed long ago and came back with a power cut: it is removed.`
        : `${path} is cut off from the log, for a segment behind it is missing. It counts for nothing and is moved to ` +
          `${aside}; restore the missing segment from a backup if there is one.`;
      onWarning({ code: "segment_garbage", message, data: { path, segment: number } });
      await ignoreMissing(proven ? fs.later.unlink(path) : fs.later.rename(path, aside));
    }
    this.log.beginAt(lowest);
    return lowest;
  }

  #isOwner(segment: Segment, epoch: number): boolean {
    return (
      !this.#stopped &&
      this.log.doubts.damagedSegment === 0 &&
      this.log.epoch === epoch &&
      this.log.segments[0] === segment
    );
  }

  /** @returns False when this process no longer owns the checkpoint of the segment: others have moved on. */
  async #verifyAll(segment: Segment, keys: readonly string[], epoch: number): Promise<boolean> {
    const stillOwner = (): boolean => this.#isOwner(segment, epoch);
    const written = new Map<string, SessionState>();
    let open = keys;
    for (let attempt = 0; open.length > 0; attempt++) {
      if (!stillOwner()) return false;
      if (attempt > VERIFY_ATTEMPTS_MAX) throw neverRight(open, this.log);
      await this.flusher.flush(open, written);
      if (!stillOwner()) return false;
      const wrong: string[] = [];
      await inParallel(open, async (key) => {
        try {
          if (!(await this.#verify(segment, key, written.get(key)))) wrong.push(key);
        } catch (error) {
          // A sync that failed is not repeated on the same file, which would say "clean" now: it is written anew.
          this.flusher.distrust([key]);
          throw error;
        }
        return stillOwner();
      });
      // What is wrong although this process wrote it was changed by another one: write it again, whatever is
      // remembered.
      this.log.catchUp();
      this.flusher.distrust(wrong);
      open = wrong;
    }
    return stillOwner();
  }

  /** @returns Whether the file is right; then it is durable as well. */
  async #verify(segment: Segment, key: string, written: SessionState | undefined): Promise<boolean> {
    const { fs, layout } = this.log.options;
    const folder = layout.sessionFolder(key);
    const path = layout.entryFile(key);
    let fd: number;
    try {
      assertFolder(fs, folder); // a link in its place would have a foreign file synced and believed
      fd = fs.open(path, "read");
    } catch (error) {
      const unsafe = error instanceof SessionStoreError; // then there is no file of ours
      const errno = errnoOf(error);
      if (!unsafe && errno !== "ENOENT" && errno !== "ENOTDIR" && errno !== "ELOOP") throw error;
      if (!this.#isGiven(segment, written, key, { status: "absent" })) return false;
      await this.#makeAbsent(folder);
      return true;
    }
    try {
      const file = this.#readOpen(fd, key, path);
      if (!this.#isGiven(segment, written, key, file)) {
        this.log.catchUp(); // it may be newer than what we have read
        if (!this.#isGiven(segment, written, key, file)) return false;
      }
      await fs.later.fdatasync(fd);
    } finally {
      fs.close(fd);
    }
    try {
      await syncDirectory(fs, folder);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      return false; // deleted by another process since we looked
    }
    return true;
  }

  /** What an open file says; the descriptor matters, for that is what will be synced. */
  #readOpen(fd: number, key: string, path: string): EntryFile {
    const { fs } = this.log.options;
    const status = fs.fstat(fd);
    if (status.kind === "directory") return { status: "absent" }; // a user's own: it stays, and is no file of ours
    const usable = status.kind === "file" && status.size <= 2 * LINE_BYTES_MAX;
    if (!usable) return { status: "corrupt", path, reason: "not a regular file of ours", offset: 0 };
    const bytes = Buffer.allocUnsafe(status.size);
    const count = fs.read(fd, bytes, 0, bytes.length, 0);
    return interpret(bytes.subarray(0, count), key, path);
  }

  async #makeAbsent(folder: string): Promise<void> {
    const { fs } = this.log.options;
    await this.writer.removeFolder(folder);
    try {
      await syncDirectory(fs, folder); // a user's own files kept it: then our file's absence must be durable in it
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== "ENOENT" && errno !== "ENOTDIR" && errno !== "ELOOP") throw error;
    }
  }

  /**
   * Is this what the log gives for the key in the segment or later? A file from elsewhere is not (F7). Known are the
   * newest state, the last one of each segment, and the one that was just written: of a session that changes
   * a thousand times a second, that is no longer the newest.
   */
  #isGiven(segment: Segment, written: SessionState | undefined, key: string, file: EntryFile): boolean {
    const states = [this.log.hot.get(key), written, ...this.log.statesFrom(segment, key)];
    return states.some((state) => state !== undefined && this.flusher.isIn(file, state));
  }

  /** @returns False when others have moved on. */
  async #writeCatalog(segment: Segment, epoch: number): Promise<boolean> {
    const changes = [...this.log.changedIn(segment).values()].map((state) => this.#changeOf(state));
    // As its header says: where a segment ended need not be known to a process that came after a power cut, or mended it.
    const next = this.log.segments[1]?.firstRevision ?? segment.nextFirstRevision;
    const isOwner = (): boolean => this.log.epoch === epoch && this.log.segments[0] === segment;
    const bytes = await this.#catalogs.write({ segment, next, changes, isOwner });
    if (bytes === undefined) return false;
    if (bytes > 0) this.space.catalogBytes = bytes;
    return true;
  }

  /** Hints of none but segments that are gone: what was deleted must not live on there. */
  async #removeHints(segment: number): Promise<void> {
    const { fs, layout } = this.log.options;
    for (const name of await fs.later.readdir(layout.store)) {
      if ((hintNumber(name) ?? segment + 1) <= segment)
        await fs.later.unlink(`${layout.store}/${name}`).catch(ignoreRefusal); // the next checkpoint tries again
    }
  }

  #changeOf({ key, revision, stored }: SessionState): Change {
    if (stored === undefined) return { key, revision: undefined };
    const updatedAt = this.source.updatedAtOf(stored);
    return { key, revision, updatedAt, blobs: referencesIn(stored).map(blobName) };
  }
}

function ignoreRefusal(error: unknown): void {
  if (errnoOf(error) === undefined) throw error;
}

function neverRight(keys: readonly string[], log: SessionLog): SessionStoreError {
  const path = log.options.layout.entryFile(keys[0] ?? "");
  return new SessionStoreError(
    "io_error",
    `${path} is not what was just written to it, ${VERIFY_ATTEMPTS_MAX} times in a row. The log keeps its sessions.`,
    { data: { path, sessions: keys.length } },
  );
}
