/**
 * A store in use, held still for a copy: nothing is locked and nothing is written.
 *
 * What a copy needs of the log is held by open descriptors from the lowest live segment on, so it stays readable when
 * checkpoints remove the names. Files are copied meanwhile, at any instants; then the log is read to its end, and that is
 * the copy's revision R. Of a session that these segments change the log is right, whatever its file says; a file of any
 * other session was the same all the time. So segments and files together are what a machine has whose processes all
 * stopped at R (docs/backup.md has the argument for each kind of file).
 *
 * A reader that falls so far behind that a segment was made and removed unseen cannot go on: {@link Overtaken}.
 */
import { errnoOf, SessionStoreError, type StoreWarning } from "../../errors.js";
import { liveRows } from "../../engine/directory/catalog/layer.js";
import { parseManifest as parseCatalog, type Part } from "../../engine/directory/catalog/manifest.js";
import { DamagedPart, PartFiles } from "../../engine/directory/catalog/part-file.js";
import { durableBytes, readMark } from "../../engine/directory/durable-mark.js";
import { findStoreFolder } from "../../engine/directory/store-folder.js";
import { unlessMissing } from "../../fs/missing.js";
import { openRegularFile, readRegularFile } from "../../fs/regular-file.js";
import { existsNow } from "../../fs/status.js";
import type { Trust, TrustedRoot } from "../../fs/trusted-path.js";
import { catalogNumber, operationsNumber, partOfFileName, type Layout } from "../../format/layout.js";
import { LINE_BYTES_MAX } from "../../format/limits.js";
import { folderNameForKey } from "../../format/session-key.js";
import { applyPatch } from "../../format/stored-patch.js";
import { referencesIn } from "../../format/stored-references.js";
import type { StoredObject } from "../../format/stored-value.js";
import { LogTail } from "../../log/log-tail.js";
import type { Segment } from "../../log/segment.js";
import type { Committed } from "../../log/verdict.js";
import type { BackupHost } from "./types.js";

/** The log went on faster than it was read, or files went while they were being copied: begin again. */
export class Overtaken extends Error {
  override readonly name = "Overtaken";
}

/** A file that is held open. */
export interface PinnedFile {
  /** In the store. */
  readonly path: string;
  readonly fd: number;
  readonly bytes: number;
}

/** As often as a list and what it names may disagree while checkpoints go on. */
const LOOKS_MAX = 50;

export class PinnedStore {
  /** All segments from the lowest one on that was live when this began, held open. */
  readonly segments: Segment[] = [];
  /** Catalog, its parts and operations, held open or read. */
  readonly files: PinnedFile[] = [];
  /** Folders of the sessions that the catalog knows: each has its file, unless the log says otherwise. */
  readonly catalogued = new Map<string, string>();
  readonly #releases: (() => void)[] = [];
  readonly #descriptors: number[] = [];
  readonly #tail: LogTail;
  /** What the log says of the sessions that it changes; undefined: deleted. */
  readonly #states = new Map<string, StoredObject | undefined>();
  /** Sessions that the log changes, by their folders. */
  readonly #mentioned = new Map<string, string>();
  #mark: ReturnType<typeof readMark>;
  #rewinds = 0;
  #frozen = false;

  private constructor(
    private readonly host: BackupHost,
    private readonly root: TrustedRoot,
    readonly layout: Layout,
    readonly storeId: string,
  ) {
    this.#tail = new LogTail(host.fs, layout, storeId, "read", {
      committed: (_segment, commit) => this.#committed(commit),
      entered: (segment) => this.#hold(segment),
      dropped: () => {},
      durableBytes: (segment) => durableBytes(this.#mark, segment),
      rewound: () => void this.#rewinds++,
    });
  }

  /**
   * @param onWarning Hears what opening the store tells.
   * @throws what opening a store throws: `store_not_found`, `not_a_store`, `path_untrusted`, …
   */
  static open(
    host: BackupHost,
    path: string,
    trust: Trust,
    onWarning: (warning: StoreWarning) => void,
  ): PinnedStore {
    const { fs, runtime } = host;
    const found = findStoreFolder({ fs, runtime, path, trust, readOnly: true, create: false, onWarning });
    if (found === undefined) throw new TypeError("a store that may not be made was not looked for");
    return new PinnedStore(host, found.root, found.layout, found.storeId);
  }

  /** Where the store really is. */
  get path(): string {
    return this.root.realPath;
  }

  display(path: string): string {
    return this.root.display(path);
  }

  /** Reads the log, and holds what belongs to its lowest segment. @param pace Waits now and then. */
  async begin(pace: () => Promise<void>): Promise<void> {
    this.#hold(this.#tail.rewind());
    while (this.#tail.advance()) await pace();
    this.#mark = readMark(this.host.fs, this.layout); // behind the log, which is read once more before it is believed
    this.follow();
    this.#pinFiles();
    this.follow();
  }

  /** Reads what the log has got since. To be called often: so no segment comes and goes unseen. */
  follow(): void {
    if (this.#frozen) return;
    this.#tail.catchUp();
    if (this.#rewinds > 1) throw new Overtaken("segments of the log came and went");
  }

  /** Reads the log once more, and then no more: what was read is the copy's revision. */
  freeze(): void {
    this.follow();
    this.#frozen = true;
  }

  /** The latest commit that was read. */
  get revision(): number {
    return this.#tail.revision;
  }

  /** Whether a live segment changed the session of a folder, so that its entry file does not matter. */
  isMentioned(folder: string): boolean {
    return this.#mentioned.has(folder);
  }

  /** Whose folder it is, as far as catalog and log say it. */
  keyOf(folder: string): string | undefined {
    return this.catalogued.get(folder) ?? this.#mentioned.get(folder);
  }

  /** How many of the sessions that the log changes are there. */
  get sessionsInLog(): number {
    let count = 0;
    for (const stored of this.#states.values()) if (stored !== undefined) count++;
    return count;
  }

  /** Shared values that sessions need which the log changed. */
  *references(): Generator<string> {
    for (const stored of this.#states.values())
      if (stored !== undefined) for (const { hash } of referencesIn(stored)) yield hash;
  }

  /** @throws `log_damaged` where bytes of the log cannot be read: what is behind them would be missing without a word. */
  assertUndamaged(): void {
    const damaged = this.segments.find((segment) => segment.damaged);
    if (damaged === undefined) return;
    const path = this.display(damaged.path);
    throw new SessionStoreError(
      "log_damaged",
      `${path} has bytes that cannot be read (at byte ${damaged.ledger.gap}), so what it says behind them cannot be backed ` +
        `up. No backup was made. What a power cut left ends when the store is opened for writing (sessiondir flush --store ` +
        `${this.path}); otherwise mend the log first (sessiondir mend --store ${this.path}).`,
      { data: { path, offset: damaged.ledger.gap } },
    );
  }

  close(): void {
    for (const release of this.#releases.splice(0)) release();
    this.#tail.close();
    for (const fd of this.#descriptors.splice(0)) this.host.fs.close(fd);
    this.root.close();
  }

  #hold(segment: Segment): void {
    this.#releases.push(segment.hold());
    this.segments.push(segment);
  }

  #committed({ record }: Committed): void {
    for (const { k, s, p, u, d } of record.ops) {
      if (s !== undefined) this.#states.set(k, s);
      else if (p !== undefined) this.#states.set(k, applyPatch(this.#states.get(k) ?? {}, p, u ?? []));
      else if (d !== undefined) this.#states.set(k, undefined);
      else continue;
      this.#mentioned.set(folderNameForKey(k), k);
    }
  }

  #pinFiles(): void {
    for (let look = 0; look < LOOKS_MAX; look++) {
      const names = this.host.fs.readdir(this.layout.store);
      if (this.#pinOperations(names) && this.#pinCatalog(names)) return;
      for (const { fd } of this.files.splice(0)) this.#unpin(fd);
    }
    throw new Overtaken("catalogs came and went");
  }

  /** @returns False if it is gone: a checkpoint has written the next one. */
  #pinOperations(names: readonly string[]): boolean {
    const newest = Math.max(0, ...names.map((name) => operationsNumber(name) ?? 0));
    return newest === 0 || this.#pin(`operations-${newest}`);
  }

  /**
   * Any catalog not older than the lowest segment held. Without one a store reads all files instead, so one that cannot be
   * read is left out.
   */
  #pinCatalog(names: readonly string[]): boolean {
    const lowest = this.segments[0]?.number ?? 0;
    const newest = Math.max(-1, ...names.map((name) => catalogNumber(name) ?? -1));
    const highest = this.segments.at(-1)?.number ?? 0;
    if (newest < lowest - 1 || newest >= highest) return true;
    const { fs } = this.host;
    const path = this.layout.catalog(newest);
    const bytes = unlessMissing(() => readRegularFile(fs, path, { bytesMax: LINE_BYTES_MAX }));
    if (bytes === undefined) return false;
    const catalog = parseCatalog(bytes, newest, this.storeId);
    if (catalog === undefined) return true;
    const parts = catalog.parts.map(({ name }) => `catalog-${name}`);
    if (!parts.every((name) => partOfFileName(name) !== undefined)) return true;
    return (
      [`catalog-${newest}`, ...parts].every((name) => this.#pin(name)) && this.#readCatalog(catalog.parts)
    );
  }

  /** @returns False if a part is gone. One that is damaged tells of no session: a store reads all files then. */
  #readCatalog(parts: readonly Part[]): boolean {
    this.catalogued.clear();
    try {
      for (const rows of liveRows(new PartFiles(this.host.fs, this.layout).layersOf(parts)))
        for (const { key } of rows) this.catalogued.set(folderNameForKey(key), key);
      return true;
    } catch (error) {
      if (!(error instanceof DamagedPart)) throw error;
      this.catalogued.clear();
      return parts.every(({ name }) => existsNow(this.host.fs, this.layout.part(name)));
    }
  }

  #pin(name: string): boolean {
    const path = `${this.layout.store}/${name}`;
    try {
      const limits = { bytesMax: Number.MAX_SAFE_INTEGER };
      const { fd, status } = openRegularFile(this.host.fs, path, "read", limits);
      this.#descriptors.push(fd);
      this.files.push({ path: `.store/${name}`, fd, bytes: status.size });
      return true;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      throw error;
    }
  }

  #unpin(fd: number): void {
    this.#descriptors.splice(this.#descriptors.indexOf(fd), 1);
    this.host.fs.close(fd);
  }
}
