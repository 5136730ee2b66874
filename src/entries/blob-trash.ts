/**
 * How shared values leave the store: out of their place into `trash/`, and later out of there.
 *
 * Removal has two phases, so that no process needs to know what others are about to commit. Unreferenced blobs move
 * to `trash/`, each time under a name that is never made twice, and get the number of the active segment appended
 * when the log was read once more AFTER the move. They leave the trash when that segment has been sealed AND a
 * second scan still finds no reference: every record that was composed before the move is then decided, and
 * every one composed later had to look the blob up. A reader that misses a blob looks in the trash; a writer moves it
 * back.
 *
 *     trash/<hash>.<random>.<staging folder>   held: its discarder may still be about to take the blob from its place
 *     trash/<hash>.<random>.<segment>          marked with the segment that was active then
 *     trash/<hash>.<random>                    neither: it was damaged, so it was promised to no writer
 *
 * The discarder links the blob to its held name, makes that durable, and then renames the blob out of its place into the
 * staging folder. As long as that folder is there, a discarder that was suspended may wake up and do so, however often
 * others have restored the blob since; so a held name stays, and the blob has a durable name whatever a power cut keeps
 * of that rename. The fence of a checkpoint takes the folder away, and with it the danger.
 */
import type { FileSystem } from "../fs/file-system.js";
import { ignoreExisting, ignoreMissing, wasThere } from "../fs/missing.js";
import { syncDirectory } from "../fs/regular-file.js";
import { partsOfTrashName, type Layout } from "../format/layout.js";
import type { Runtime } from "../runtime.js";
import type { BlobStore } from "./blob-store.js";

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
   * First phase of removal. The name in the trash is durable before the blob leaves its place, for a writer may have
   * been promised, a moment ago, that it survives a power cut. It leaves by a rename into the staging folder, never by
   * an unlink: only that fails once the folder is gone.
   * @param hashes A few at a time: all of their names become durable with one sync.
   * @param stage Staging folder of the active segment.
   * @returns The names in the trash, of those that others have not discarded. Once this has returned, they are held no
   *   longer, which only their discarder can know.
   */
  async discard(hashes: readonly string[], stage: string): Promise<string[]> {
    const linked: { readonly path: string; readonly name: string }[] = [];
    for (const hash of hashes) {
      const path = this.layout.blob(hash);
      const name = `${hash}.${this.runtime.randomName(8)}.${stage}`;
      if (!this.blobs.isIntact(hash)) await this.#discardDamaged(hash);
      else if (await this.#linked(path, name)) linked.push({ path, name });
    }
    if (linked.length === 0) return [];
    await syncDirectory(this.fs, this.layout.trash);
    for (const { path } of linked) {
      const leaving = `${this.layout.stageFolder(stage)}/${this.runtime.randomName(8)}`;
      await ignoreMissing(this.fs.later.rename(path, leaving));
      await ignoreMissing(this.fs.later.unlink(leaving));
    }
    return linked.map(({ name }) => name);
  }

  /**
   * Second phase: removes what was discarded while a segment was active that is sealed now, unless it is referenced
   * after all; that goes back to its place.
   * @param scan Reads the log to its end and then tells the active segment and which blobs are referenced. Called after
   *   the trash and the staging folders were listed, so that a number it gives is never older than a move. Undefined:
   *   not now.
   * @param released Names that {@link discard} returned to this process.
   * @returns Whether there are values left that go behind a later seal.
   */
  async empty(scan: () => ReferenceScan | undefined, released: ReadonlySet<string>): Promise<boolean> {
    const names = await this.fs.later.readdir(this.layout.trash);
    if (names.length === 0) return false;
    const holders = new Set(await this.fs.later.readdir(this.layout.stage));
    const scanned = scan();
    if (scanned === undefined) return true;
    const { activeSegment, stage, isReferenced } = scanned;
    const unmarked: string[] = [];
    let waiting = false;
    for (const name of names) {
      const { hash, holder, segment } = partsOfTrashName(name);
      if (hash === undefined) continue;
      if (holder !== undefined && holders.has(holder) && !released.has(name)) {
        waiting = true;
      } else if (isReferenced(hash)) {
        await ignoreMissing(this.#moveBack(`${this.layout.trash}/${name}`, hash, stage));
      } else if (segment === undefined) {
        unmarked.push(name);
      } else if (segment < activeSegment) {
        await ignoreMissing(this.fs.later.unlink(`${this.layout.trash}/${name}`));
      } else {
        waiting = true;
      }
    }
    if (unmarked.length > 0) await this.#mark(unmarked, activeSegment);
    return waiting || unmarked.length > 0;
  }

  async #discardDamaged(hash: string): Promise<void> {
    // A name that is held would outlive the good blob that a writer may put in its place just now.
    const name = `${hash}.${this.runtime.randomName(8)}`;
    await ignoreMissing(this.fs.later.rename(this.layout.blob(hash), `${this.layout.trash}/${name}`));
  }

  /** @returns False if others have discarded the blob. */
  #linked(path: string, name: string): Promise<boolean> {
    return wasThere(this.fs.later.link(path, `${this.layout.trash}/${name}`));
  }

  /** Durably under their marked names before the other ones go; see {@link discard}. */
  async #mark(names: readonly string[], segment: number): Promise<void> {
    const { trash } = this.layout;
    for (const name of names) {
      const marked = `${trash}/${name.split(".", 2).join(".")}.${segment}`;
      await ignoreMissing(ignoreExisting(this.fs.later.link(`${trash}/${name}`, marked)));
    }
    await syncDirectory(this.fs, trash);
    for (const name of names) await ignoreMissing(this.fs.later.unlink(`${trash}/${name}`));
  }

  /** Durably in its place before the name in the trash goes, which must not be held. */
  async #moveBack(discarded: string, hash: string, stage: string): Promise<void> {
    await this.blobs.restore(discarded, hash, stage);
    await this.fs.later.unlink(discarded);
  }
}
