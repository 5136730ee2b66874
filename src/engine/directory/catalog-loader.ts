/**
 * The base of every listing: all sessions as of the end of some checkpointed segment, from a catalog or, where
 * that is missing or damaged, from the entry files themselves.
 */
import { basename, dirname } from "node:path";
import { errnoOf, SessionStoreError, type StoreWarning } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { isAbsent } from "../../fs/missing.js";
import { readRegularFile } from "../../fs/regular-file.js";
import { catalogNumber, ENTRY_FILE, isSystemName, type Layout } from "../../format/layout.js";
import { parseEntryDocument } from "../../format/entry-document.js";
import { LINE_BYTES_MAX } from "../../format/limits.js";
import { referencesIn } from "../../format/stored-references.js";
import { folderNameForKey, isHashedFolderName, keyFromFolderName } from "../../format/session-key.js";
import type { StoredObject } from "../../format/stored-value.js";
import type { DamagedSession } from "../contract.js";
import { liveRows, MemoryLayer, type Layer } from "./catalog/layer.js";
import { MANIFEST_BYTES_MAX, parseManifest, type Manifest } from "./catalog/manifest.js";
import { DamagedPart, type PartFiles } from "./catalog/part-file.js";
import { blobName, isRow, type CatalogRow } from "./catalog/row.js";

/** Every further attempt is a checkpoint that another process finished meanwhile. */
const ATTEMPTS_MAX = 100;

export interface CatalogSource {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly storeId: string;
  readonly parts: PartFiles;
  readonly onWarning: (warning: StoreWarning) => void;
  readonly updatedAtOf: (stored: StoredObject) => number;
}

/** All sessions as of the end of a segment. */
export interface Catalog extends Manifest {
  /** Newest first; what they say is read when it is asked for, and may turn out to be damaged then. */
  readonly layers: readonly Layer[];
  /** Sessions that could not be read, where this process has made the rows from files; a catalog's file does not name them. */
  readonly damaged?: readonly DamagedSession[];
}

const NOTHING: Catalog = { segment: 0, revision: 0, next: 1, incomplete: false, parts: [], layers: [] };

/** What is made of a catalog, in slices. Begins anew with another one when that catalog turns out to be damaged. */
export type Use<T> = (catalog: Catalog) => Generator<void, T>;

/**
 * Uses the catalog of one of the segments `from` … `to`, the newest that is whole. If there is none, the files are
 * read, which takes a while but changes nothing. Segment 0 stands for a new store without any session.
 * @param ahead What it means when there are later catalogs; `"ignore"` once the log was read and they are later still.
 * @returns Undefined if there are only later catalogs: the log has moved on, read it again.
 */
export function* useCatalog<T>(
  source: CatalogSource,
  from: number,
  to: number,
  use: Use<T>,
  ahead: "log has moved on" | "ignore" = "log has moved on",
): Generator<void, T | undefined> {
  const { layout } = source;
  let numbers = catalogsFrom(source, from);
  const broken = new Set<string>();
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const seen: string[] = [];
    broken.clear();
    for (const number of numbers) {
      if (number > to) continue;
      const manifest = readManifest(source, number);
      seen.push(`${number} ${partsIn(manifest)}`);
      yield;
      if (manifest === undefined) continue;
      try {
        return yield* use(withLayers(source, manifest));
      } catch (error) {
        if (!(error instanceof DamagedPart)) throw error;
        broken.add(error.part);
      }
    }
    if (ahead !== "ignore" && numbers.some((number) => number > to)) return undefined;
    // A catalog that went while we looked was replaced by a later one: only what stays the same is the truth.
    const before = numbers.join();
    numbers = catalogsFrom(source, from);
    const now = numbers.filter((number) => number <= to);
    const same = now.every(
      (number, index) => seen[index] === `${number} ${partsIn(readManifest(source, number))}`,
    );
    if (numbers.join() === before && same) break;
  }
  for (const part of broken) source.parts.damaged.add(part);
  if (from === 0) return yield* use(NOTHING);
  source.onWarning({
    code: "catalog_rebuilt",
    message: `${layout.catalog(from)} is missing or damaged: the sessions are listed from their files, once.`,
    data: { path: layout.catalog(from), segment: from },
  });
  return yield* use(yield* catalogFromFiles(source, from));
}

function partsIn(manifest: Manifest | undefined): string {
  return manifest?.parts.map(({ name }) => name).join(" ") ?? "none";
}

/**
 * The newest of the catalogs that {@link useCatalog} would use, if none is later, as far as its own file goes.
 * @returns Undefined if that is not possible at once, for whatever reason: use the catalog then.
 */
export function newestCatalog(source: CatalogSource, from: number, to: number): Catalog | undefined {
  const [number] = catalogsFrom(source, from);
  return number === undefined || number > to ? undefined : catalogOf(source, number);
}

function catalogOf(source: CatalogSource, number: number): Catalog | undefined {
  const manifest = readManifest(source, number);
  return manifest && withLayers(source, manifest);
}

function withLayers({ parts }: CatalogSource, manifest: Manifest): Catalog {
  return { ...manifest, layers: parts.layersOf(manifest.parts) };
}

/** The catalog in which single sessions were looked up last: a process that makes sessions asks again. */
export interface SearchedCatalog {
  catalog?: Catalog | undefined;
}

/**
 * Looks one session up in the catalog that {@link useCatalog} would use.
 * @param searched Keeps the catalog from call to call.
 * @returns The session's row, or undefined if there is none or if that cannot be told like this.
 */
export function lookUpInCatalog(
  source: CatalogSource,
  from: number,
  to: number,
  key: string,
  searched: SearchedCatalog,
): CatalogRow | undefined {
  const number = catalogsFrom(source, from).find((candidate) => candidate <= to);
  if (number === undefined) return undefined;
  // Once more if its parts are gone: it may have been written anew, with other parts.
  for (const known of searched.catalog?.segment === number ? [true, false] : [false]) {
    if (!known) searched.catalog = catalogOf(source, number);
    try {
      for (const layer of searched.catalog?.layers ?? []) {
        const change = layer.find(key);
        if (change !== undefined) return isRow(change) ? change : undefined;
      }
      return undefined;
    } catch (error) {
      if (!(error instanceof DamagedPart)) throw error;
    }
  }
  searched.catalog = undefined; // replaced by a later one, or damaged: listings find out
  return undefined;
}

/** Numbers of the catalogs in the folder that are not older than `from`, the newest first. */
export function catalogsFrom({ fs, layout }: CatalogSource, from: number): number[] {
  return catalogsAmong(fs.readdir(layout.store), from);
}

/** The same, of names that were listed. */
export function catalogsAmong(names: readonly string[], from: number): number[] {
  return names
    .map(catalogNumber)
    .filter((number) => number !== undefined)
    .filter((number) => number >= from)
    .sort((a, b) => b - a);
}

/**
 * Removes catalogs that are ahead of the log. A catalog is made only when its segment has a successor, so these came
 * with a copy that was made while the original went on: one day the log would get there, and they would be believed.
 * @param listed Catalogs that there were before the log was read to the segment `active`.
 */
export function removeCatalogsAhead(
  { fs, layout, onWarning }: CatalogSource,
  listed: readonly number[],
  active: number,
): void {
  for (const number of listed) {
    if (number < active) continue;
    const path = layout.catalog(number);
    const message = `${path} is ahead of the log, as in a copy of a store in use: it is removed and will be made anew.`;
    onWarning({ code: "catalog_rebuilt", message, data: { path, segment: number } });
    try {
      fs.unlink(path);
    } catch {
      // Listings do without it in any case.
    }
  }
}

/** Highest revision that any catalog tells of, deletions included; 0 if there is none. */
export function highestCatalogRevision(source: CatalogSource): number {
  const revisions = catalogsFrom(source, 0).map((number) => readManifest(source, number)?.revision ?? 0);
  return Math.max(0, ...revisions);
}

/** What a catalog's own file says; undefined if that is gone, unreadable or unsafe. */
export function readManifest({ fs, layout, storeId }: CatalogSource, number: number): Manifest | undefined {
  try {
    const bytes = readRegularFile(fs, layout.catalog(number), { bytesMax: MANIFEST_BYTES_MAX });
    return parseManifest(bytes, number, storeId);
  } catch {
    return undefined;
  }
}

/** Every session whose entry file is whole, with the revision that the file has. */
export function* catalogFromFiles(source: CatalogSource, segment: number): Generator<void, Catalog> {
  const { fs, layout, onWarning } = source;
  const rows: CatalogRow[] = [];
  const damaged: DamagedSession[] = [];
  let revision = 0;
  for (const folder of fs.readdir(layout.root)) {
    yield;
    const key = keyFromFolderName(folder);
    if (key === undefined && !isHashedFolderName(folder)) continue; // not one of ours
    const path = `${layout.root}/${folder}/${ENTRY_FILE}`;
    const read = readRow(source, path);
    if (read === undefined) continue;
    if (typeof read === "string") {
      damaged.push({ key, path, reason: read, missing: false });
      const message = `${path} is left out: ${read}. Restore it from a backup, put its session as a whole, or delete it.`;
      onWarning({ code: "entry_corrupt", message, data: { key, path, reason: read, missing: false } });
    } else {
      rows.push(read);
      revision = Math.max(revision, read.revision);
    }
  }
  const layers = [yield* MemoryLayer.of(rows)];
  const incomplete = damaged.length > 0;
  return { segment, revision, next: revision + 1, incomplete, parts: [], layers, damaged };
}

/** Where the segment behind a catalog's begins. */
export function beginningBehind(
  source: CatalogSource,
  segment: number,
): { readonly firstRevision: number; readonly after: number } | undefined {
  if (segment === 0) return { firstRevision: 1, after: 0 };
  const manifest = readManifest(source, segment); // if that is not there, nothing says it, and opening the log does
  return manifest && { firstRevision: manifest.next, after: manifest.revision };
}

/**
 * A catalog that says it is incomplete, completed with what the files say now. Its own rows stay: they know of files that
 * somebody has taken away since, which nothing else does.
 */
export function* completedCatalog(source: CatalogSource, catalog: Catalog): Generator<void, Catalog> {
  const files = yield* catalogFromFiles(source, catalog.segment);
  const known = new Set<string>();
  const rows: CatalogRow[] = [];
  for (const some of liveRows(catalog.layers)) {
    yield;
    for (const row of some) known.add(row.key);
    rows.push(...some);
  }
  for (const some of liveRows(files.layers)) {
    yield;
    rows.push(...some.filter(({ key }) => !known.has(key)));
  }
  // Of a damaged file the catalog has the row, and with it all that a row must say.
  const damaged = (files.damaged ?? []).filter(({ key }) => key === undefined || !known.has(key));
  const revision = Math.max(catalog.revision, files.revision);
  const { segment, next } = catalog;
  const layers = [yield* MemoryLayer.of(rows)];
  return { segment, revision, next, incomplete: damaged.length > 0, parts: [], layers, damaged };
}

/** The row of an entry file; undefined if its folder holds no session, a reason if it is damaged. */
export function readRow(source: CatalogSource, path: string): CatalogRow | string | undefined {
  const folder = dirname(path);
  try {
    if (source.fs.lstat(folder).kind !== "directory") return undefined; // a stray file
    const parsed = parseEntryDocument(readRegularFile(source.fs, path, { bytesMax: LINE_BYTES_MAX * 2 }));
    if (!parsed.ok) return `damaged at byte ${parsed.offset}: ${parsed.reason}`;
    if (folderNameForKey(parsed.key) !== basename(folder))
      return `it is the file of session ${JSON.stringify(parsed.key)}`;
    const { key, revision, stored } = parsed;
    return {
      key,
      revision,
      updatedAt: source.updatedAtOf(stored),
      blobs: referencesIn(stored).map(blobName),
    };
  } catch (error) {
    if (isAbsent(error)) return undefined;
    if (errnoOf(error) === "EACCES" && isSystemName(basename(folder))) return undefined; // lost+found, which is root's
    // A file that is unsafe costs its own session. A call that fails says nothing about the session: to leave it out
    // would take it out of this and all later catalogs.
    if (error instanceof SessionStoreError) return error.message;
    throw error;
  }
}
