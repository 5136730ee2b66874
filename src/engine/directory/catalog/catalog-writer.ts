/**
 * Writes the catalog of a segment that is being checkpointed, and removes what it replaces. It costs by what the segment
 * changed: that becomes a part, together with those of the newest parts that are not much larger (`compose-part.ts`).
 *
 * All files of catalog g come through its *gate*, a staging folder with the number g + 1:
 *
 *   1. The fence of checkpoint g has removed the gate of catalog g - 1: that is final now, and is read. Nothing of it is
 *      remembered from one checkpoint to the next.
 *   2. Make the gate. Write the part into it, durably; rename it to its name, which no other ever has; fsync `.store`: a part
 *      is durable before a catalog names it.
 *   3. Write `catalog-g` into it, durably. Look whether segment g is still there; rename; fsync `.store`.
 *   4. The segment goes.
 *   5. {@link tidy}: remove the gate. Now no process that was suspended on its way can bring another catalog g: its rename
 *      fails, or it makes the gate again and finds the segment gone. So catalog g is final, and so are all later ones, which are
 *      made from it: remove older catalogs, and the parts of up to g that it does not name.
 *
 * A crash leaves: the gate, which the next fence removes; a part that no catalog names, which the next tidying removes; catalog g
 * beside segment g and catalog g - 1, and the checkpoint is done again.
 */
import { errnoOf } from "../../../errors.js";
import { removeStagingFolder } from "../../../entries/fence.js";
import { ignoreExisting, ignoreMissing } from "../../../fs/missing.js";
import { assertFolder, createFile, syncDirectory } from "../../../fs/regular-file.js";
import { existsNow } from "../../../fs/status.js";
import { catalogNumber, partName, partOfFileName } from "../../../format/layout.js";
import type { Segment } from "../../../log/segment.js";
import {
  completedCatalog,
  readManifest,
  useCatalog,
  type Catalog,
  type CatalogSource,
} from "../catalog-loader.js";
import type { SessionLog } from "../session-log.js";
import { runInSlices } from "../time-slices.js";
import { writeLines } from "../write-lines.js";
import { composePart, partsToMerge } from "./compose-part.js";
import { MemoryLayer } from "./layer.js";
import { composeManifest, type Part } from "./manifest.js";
import { DamagedPart } from "./part-file.js";
import type { Change } from "./row.js";

/** After a damaged part was met, all is made from files, of which no part can be damaged. */
const ATTEMPTS_MAX = 3;

export interface SegmentChanges {
  readonly segment: Segment;
  /** First revision of the segment behind it. */
  readonly next: number;
  /** What the segment made of each session that it changed. */
  readonly changes: readonly Change[];
  /** Whether the checkpoint is still this process's own. */
  readonly isOwner: () => boolean;
}

export class CatalogWriter {
  constructor(
    private readonly log: SessionLog,
    private readonly source: CatalogSource,
  ) {}

  /**
   * @returns About the bytes that the changes take, or 0 if another process has written a later catalog, and only the segment is
   *   left to be removed. Undefined if others have moved on.
   */
  async write(changed: SegmentChanges): Promise<number | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#write(changed);
      } catch (error) {
        if (errnoOf(error) === "ENOENT") return undefined; // the gate is gone
        if (!(error instanceof DamagedPart) || attempt === ATTEMPTS_MAX) throw error;
        this.source.parts.damaged.add(error.part);
      }
    }
  }

  async #write({
    segment: { number, ledger },
    next,
    changes,
    isOwner,
  }: SegmentChanges): Promise<number | undefined> {
    const { fs, layout, runtime, storeId } = this.log.options;
    const base = await runInSlices(useCatalog(this.source, number - 1, number - 1, this.#usable), runtime);
    if (base === undefined) return 0;
    const gate = layout.catalogGate(number);
    await ignoreExisting(fs.later.mkdir(gate));
    assertFolder(fs, gate); // a link in its place would lead out of the store
    const { parts, bytes } = await this.#partsWith(changes, base, number, gate);
    const { incomplete } = base;
    const manifest = { segment: number, revision: ledger.lastRevision, next, incomplete, parts };
    const temporary = `${gate}/${runtime.randomName(8)}`;
    await createFile(fs, temporary, composeManifest(manifest, storeId), { sync: true });
    // Behind the making of the gate: who finds the segment still there comes before all that remove the gate for good.
    if (!isOwner() || !existsNow(fs, layout.segment(number))) return undefined;
    await fs.later.rename(temporary, layout.catalog(number));
    await syncDirectory(fs, layout.store);
    return bytes;
  }

  /** A catalog that can be built on, as far as that shows without reading all of it. What could not be read once may have been mended. */
  readonly #usable = function* (this: CatalogWriter, catalog: Catalog): Generator<void, Catalog> {
    this.source.parts.assertThere(catalog.parts);
    return catalog.incomplete ? yield* completedCatalog(this.source, catalog) : catalog;
  }.bind(this);

  async #partsWith(
    changes: readonly Change[],
    base: Catalog,
    number: number,
    gate: string,
  ): Promise<{ parts: readonly Part[]; bytes: number }> {
    const { fs, runtime, storeId, layout } = this.log.options;
    const fromFiles = base.parts.length === 0;
    if (changes.length === 0 && !(fromFiles && base.layers.length > 0))
      return { parts: base.parts, bytes: 0 };
    const latest = await runInSlices(MemoryLayer.of(changes), runtime);
    const { freeBytes } = fs.room(layout.store);
    const taken = fromFiles ? base.layers.length : partsToMerge(latest.size, base.parts, freeBytes);
    const layers = [latest, ...base.layers.slice(0, taken)];
    const name = partName(number, runtime.randomName(8));
    const plan = { name, storeId, layers, oldest: taken === base.layers.length };
    const part = await writeLines(fs, runtime, `${gate}/${name}`, composePart(plan), { sync: true });
    await fs.later.rename(`${gate}/${name}`, layout.part(name));
    await syncDirectory(fs, layout.store);
    const share = fromFiles ? 1 : Math.min(1, latest.size / (part.rows + part.deleted || 1));
    return { parts: [part, ...base.parts.slice(taken)], bytes: Math.ceil(part.bytes * share) };
  }

  /** Behind the end of the segment: nothing of catalog `number` comes any more, and what is older than it goes. */
  async tidy(number: number): Promise<void> {
    const { fs, layout } = this.log.options;
    await removeStagingFolder(fs, layout.catalogGate(number));
    const manifest = readManifest(this.source, number);
    const names = await fs.later.readdir(layout.store);
    for (const name of names) {
      const catalog = catalogNumber(name);
      if (catalog !== undefined && catalog < number)
        await ignoreMissing(fs.later.unlink(layout.catalog(catalog)));
    }
    if (manifest === undefined) return; // others went on, or it is damaged: then nothing says what is needed
    const alive = new Set(manifest.parts.map((part) => part.name));
    for (const file of names) {
      const part = partOfFileName(file);
      if (part === undefined || part.segment > number || alive.has(part.name)) continue;
      await ignoreMissing(fs.later.unlink(layout.part(part.name)));
    }
  }
}
