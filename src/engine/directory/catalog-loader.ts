/**
 * The base of every listing: all sessions as of the end of some checkpointed segment, from a catalog or, where
 * that is missing or damaged, from the entry files themselves.
 */
import { basename, dirname } from "node:path";
import { errnoOf, SessionStoreError, type StoreWarning } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { isAbsent } from "../../fs/missing.js";
import { openRegularFile, readRegularFile } from "../../fs/regular-file.js";
import { catalogNumber, ENTRY_FILE, isSystemName, type Layout } from "../../format/layout.js";
import { parseEntryDocument } from "../../format/entry-document.js";
import { LINE_BYTES_MAX } from "../../format/limits.js";
import { referencesIn } from "../../format/stored-references.js";
import { folderNameForKey, isHashedFolderName, keyFromFolderName } from "../../format/session-key.js";
import type { StoredObject } from "../../format/stored-value.js";
import type { DamagedSession } from "../contract.js";
import {
  blobName,
  compareRows,
  parseCatalog,
  parseCatalogHead,
  type Catalog,
  type CatalogHead,
  type CatalogRow,
} from "./catalog.js";
import { runNow, sortInSlices } from "./time-slices.js";

/** Every further attempt is a checkpoint that another process finished meanwhile. */
const ATTEMPTS_MAX = 100;

export interface CatalogSource {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly storeId: string;
  readonly onWarning: (warning: StoreWarning) => void;
  readonly updatedAtOf: (stored: StoredObject) => number;
}

/** A hundred times the hundred thousand sessions that a store is made for. */
const CATALOG_BYTES_MAX = 1024 * 1024 * 1024;

/**
 * Loads the catalog of one of the segments `from` … `to`, the newest that is whole. If there is none, the files are
 * read, which takes a while but changes nothing. Segment 0 stands for a new store without any session.
 * @param ahead What it means when there are later catalogs; `"ignore"` once the log was read and they are later still.
 * @returns Undefined if there are only later catalogs: the log has moved on, read it again.
 */
export function* loadCatalog(
  source: CatalogSource,
  from: number,
  to: number,
  ahead: "log has moved on" | "ignore" = "log has moved on",
): Generator<void, Catalog | undefined> {
  const { layout } = source;
  let numbers = catalogsFrom(source, from);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    for (const number of numbers) {
      if (number > to) continue;
      const catalog = yield* readCatalog(source, number);
      if (catalog !== undefined) return catalog;
    }
    if (ahead !== "ignore" && numbers.some((number) => number > to)) return undefined;
    // A catalog that went while we looked was replaced by a later one: only what stays the same is the truth.
    const before = numbers.join();
    numbers = catalogsFrom(source, from);
    if (numbers.join() === before) break;
  }
  if (from === 0) return { segment: 0, revision: 0, next: 1, rows: [], incomplete: false };
  source.onWarning({
    code: "catalog_rebuilt",
    message: `${layout.catalog(from)} is missing or damaged: the sessions are listed from their files, once.`,
    data: { path: layout.catalog(from), segment: from },
  });
  return yield* catalogFromFiles(source, from);
}

/** A few hundred rows; the newest are in front. */
const HEAD_BYTES = 64 * 1024;

/**
 * The newest sessions of the catalog that {@link loadCatalog} would load, without reading all of it.
 * @returns Undefined if that is not possible at once, for whatever reason: load the catalog then.
 */
export function loadCatalogHead(source: CatalogSource, from: number, to: number): CatalogHead | undefined {
  const { fs, layout, storeId } = source;
  const [number] = catalogsFrom(source, from);
  if (number === undefined || number > to) return undefined;
  try {
    const { fd, status } = openRegularFile(fs, layout.catalog(number), "read", {
      bytesMax: CATALOG_BYTES_MAX,
    });
    try {
      const bytes = Buffer.allocUnsafe(Math.min(status.size, HEAD_BYTES));
      const count = fs.read(fd, bytes, 0, bytes.length, 0);
      return runNow(parseCatalogHead(bytes.subarray(0, count), number, storeId));
    } finally {
      fs.close(fd);
    }
  } catch {
    return undefined; // loading all of it finds out what it is, and says so
  }
}

/** A larger catalog (250,000 sessions or more) is not searched for one key: that would hold up the event loop. */
const SEARCHED_BYTES_MAX = 16 * 1024 * 1024;

/** The catalog that was searched last: a catalog is never edited, and a process that makes sessions asks again. */
export interface SearchedCatalog {
  number?: number | undefined;
  bytes?: Buffer | undefined;
}

/**
 * Looks one session up in the catalog that {@link loadCatalog} would load: a search for its bytes, a tenth of a millisecond for
 * 10,000 sessions once they are in memory. Only a hit is parsed.
 * @param searched Keeps the catalog's bytes from call to call.
 * @returns The session's row, or undefined if there is none or if that cannot be told like this.
 */
export function lookUpInCatalog(
  source: CatalogSource,
  from: number,
  to: number,
  key: string,
  searched: SearchedCatalog,
): CatalogRow | undefined {
  const { fs, layout, storeId } = source;
  const number = catalogsFrom(source, from).find((candidate) => candidate <= to);
  if (number === undefined) return undefined;
  if (searched.number !== number) {
    searched.bytes = undefined;
    searched.number = number;
    try {
      const limits = { bytesMax: SEARCHED_BYTES_MAX };
      searched.bytes = Buffer.from(readRegularFile(fs, layout.catalog(number), limits));
    } catch {
      searched.number = undefined; // too large, replaced by a later one, or damaged: listings find out
    }
  }
  const { bytes } = searched;
  if (bytes?.includes(`[${JSON.stringify(key)},`) !== true) return undefined;
  return runNow(parseCatalog(bytes, number, storeId))?.rows.find((row) => row.key === key);
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
export function* highestCatalogRevision(source: CatalogSource): Generator<void, number> {
  let highest = 0;
  for (const number of catalogsFrom(source, 0)) {
    const catalog = yield* readCatalog(source, number);
    highest = Math.max(highest, catalog?.revision ?? 0);
  }
  return highest;
}

function* readCatalog(
  { fs, layout, storeId }: CatalogSource,
  number: number,
): Generator<void, Catalog | undefined> {
  let bytes: Buffer;
  try {
    bytes = readRegularFile(fs, layout.catalog(number), { bytesMax: CATALOG_BYTES_MAX });
  } catch {
    return undefined; // gone, unreadable or unsafe: the files have it all
  }
  yield;
  return yield* parseCatalog(bytes, number, storeId);
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
  const sorted = yield* sortInSlices(rows, compareRows);
  return { segment, revision, next: revision + 1, rows: sorted, incomplete: damaged.length > 0, damaged };
}

/** Where the segment behind a catalog's begins, from the catalog's first line. */
export function beginningBehind(
  { fs, layout, storeId }: CatalogSource,
  segment: number,
): { readonly firstRevision: number; readonly after: number } | undefined {
  if (segment === 0) return { firstRevision: 1, after: 0 };
  try {
    const { fd } = openRegularFile(fs, layout.catalog(segment), "read", { bytesMax: CATALOG_BYTES_MAX });
    try {
      const bytes = Buffer.alloc(HEAD_BYTES);
      const head = runNow(
        parseCatalogHead(bytes.subarray(0, fs.read(fd, bytes, 0, bytes.length, 0)), segment, storeId),
      );
      return head && { firstRevision: head.catalog.next, after: head.catalog.revision };
    } finally {
      fs.close(fd);
    }
  } catch {
    return undefined; // then nothing says it, and opening the log does
  }
}

/**
 * A catalog that says it is incomplete, completed with what the files say now. Its own rows stay: they know of files that
 * somebody has taken away since, which nothing else does.
 */
export function* completedCatalog(source: CatalogSource, catalog: Catalog): Generator<void, Catalog> {
  const files = yield* catalogFromFiles(source, catalog.segment);
  const known = new Set(catalog.rows.map(({ key }) => key));
  const rows = [...catalog.rows, ...files.rows.filter(({ key }) => !known.has(key))];
  // Of a damaged file the catalog has the row, and with it all that a row must say.
  const damaged = (files.damaged ?? []).filter(({ key }) => key === undefined || !known.has(key));
  const revision = Math.max(catalog.revision, files.revision);
  const sorted = yield* sortInSlices(rows, compareRows);
  const { segment, next } = catalog;
  return { segment, revision, next, rows: sorted, incomplete: damaged.length > 0, damaged };
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
