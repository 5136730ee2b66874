/**
 * How shared values leave the store: out of their place into `trash/`, and later out of there.
 *
 * Removal has two phases, so that nobody needs to know what others are about to commit. Unreferenced blobs move
 * to `trash/`, each time under a name that is never made twice, and get the number of the active segment appended
 * when the log was read once more AFTER the move. They leave the trash when that segment has been sealed AND a
 * second scan still finds no reference: every record that was composed before the move is then decided, and
 * every one composed later had to look the blob up. Whoever misses a blob looks in the trash; a writer moves it back.
 *
 *     trash/<hash>.<random>.<staging folder>   held: its discarder may still be about to take the blob from its place
 *     trash/<hash>.<random>.<segment>          marked with the segment that was active then
 *     trash/<hash>.<random>                    neither: it was damaged, and nobody could have been promised it
 *
 * The discarder links the blob to its held name, makes that durable, and then renames the blob out of its place into the
 * staging folder. As long as that folder is there, a discarder that was suspended may wake up and do so, however often
 * others have put the blob back since; so a held name stays, and the blob has a durable name whatever a power cut keeps of
 * that rename. The fence of a checkpoint takes the folder away, and with it the danger.
 */
import { errnoOf } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { syncDirectory } from "../fs/regular-file.js";
import { partsOfTrashName, type Layout } from "../format/layout.js";
import type { Runtime } from "../runtime.js";
import type { BlobStore } from "./blobs.js";
import { ignoreMissing } from "./entry-file.js";

/** Which blobs are referenced as of the end of the log. */
export interface ReferenceScan {
  readonly activeSegment: number;
  /** Its staging folder. */
  readonly stage: string;
  readonly isReferenced: (hash: string) => boolean;
}

export class BlobTrash {
  constructor(
    readonly blobs: BlobStore,
    private readonly fs: FileSystem,
    private readonly layout: Layout,
    private readonly runtime: Runtime,
  ) {}

  async isEmpty(): Promise<boolean> {
    return (await this.fs.later.readdir(this.layout.trash)).length === 0;
  }

  /**
   * First phase of removal. The name in the trash is durable before the blob leaves its place, for somebody may have been
   * promised, a moment ago, that it survives a power cut. It leaves by a rename into the staging folder, never by an
   * unlink: only that fails once the folder is gone.
   * @param stage Staging folder of the active segment.
   * @returns The name in the trash; undefined if others have discarded the blob. Once this has returned, that name is
   *   held no longer, which only its discarder can know.
   */
  async discard(hash: string, stage: string): Promise<string | undefined> {
    const path = this.layout.blob(hash);
    const name = `${hash}.${this.runtime.randomName(8)}.${stage}`;
    if (!this.blobs.isIntact(hash)) {
      // A name that is held would outlive the good one that somebody may put in its place just now.
      await ignoreMissing(
        this.fs.later.rename(path, `${this.layout.trash}/${hash}.${this.runtime.randomName(8)}`),
      );
      return undefined;
    }
    try {
      await this.fs.later.link(path, `${this.layout.trash}/${name}`);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
    await syncDirectory(this.fs, this.layout.trash);
    const leaving = `${this.layout.stageFolder(stage)}/${this.runtime.randomName(8)}`;
    await ignoreMissing(this.fs.later.rename(path, leaving));
    await ignoreMissing(this.fs.later.unlink(leaving));
    return name;
  }

  /**
   * Second phase: removes what was discarded while a segment was active that is sealed now, unless it is referenced
   * after all; that goes back to its place.
   * @param scan Reads the log to its end and then tells the active segment and who is referenced. Called after the trash
   *   and the staging folders were listed, so that a number it gives is never older than a move. Undefined: not now.
   * @param released Names that {@link discard} returned to this process.
   */
  async empty(scan: () => ReferenceScan | undefined, released: ReadonlySet<string>): Promise<void> {
    const names = await this.fs.later.readdir(this.layout.trash);
    if (names.length === 0) return;
    const holders = new Set(await this.fs.later.readdir(this.layout.stage));
    const scanned = scan();
    if (scanned === undefined) return;
    const { activeSegment, stage, isReferenced } = scanned;
    for (const name of names) {
      const { hash, holder, segment } = partsOfTrashName(name);
      if (hash === undefined) continue;
      if (holder !== undefined && holders.has(holder) && !released.has(name)) continue;
      if (isReferenced(hash)) {
        await ignoreMissing(this.#moveBack(`${this.layout.trash}/${name}`, hash, stage));
      } else if (segment === undefined) {
        await this.#mark(name, activeSegment);
      } else if (segment < activeSegment) {
        await ignoreMissing(this.fs.later.unlink(`${this.layout.trash}/${name}`));
      }
    }
  }

  /** Durably under its marked name before the other one goes; see {@link discard}. */
  async #mark(name: string, segment: number): Promise<void> {
    const path = `${this.layout.trash}/${name}`;
    const marked = `${this.layout.trash}/${name.split(".", 2).join(".")}.${segment}`;
    await ignoreMissing(
      this.fs.later.link(path, marked).catch((error: unknown) => {
        if (errnoOf(error) !== "EEXIST") throw error;
      }),
    );
    await syncDirectory(this.fs, this.layout.trash);
    await ignoreMissing(this.fs.later.unlink(path));
  }

  /** Durably in its place before the name in the trash goes, which must not be held. */
  async #moveBack(discarded: string, hash: string, stage: string): Promise<void> {
    await this.blobs.putBack(discarded, hash, stage);
    await this.fs.later.unlink(discarded);
  }
}
