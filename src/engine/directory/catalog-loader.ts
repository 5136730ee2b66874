/**
 * The base of every listing: all sessions as of the end of some checkpointed segment, from a catalog or, where
 * that is missing or damaged, from the entry files themselves.
 */
import type { StoreWarning } from "../../errors.js";
import { readRegularFile } from "../../fs/regular-file.js";
import type { FileSystem } from "../../fs/file-system.js";
import { catalogNumber, ENTRY_FILE, type Layout } from "../../format/layout.js";
import { parseEntryDocument } from "../../format/entry-document.js";
import { LINE_BYTES_MAX } from "../../format/limits.js";
import { referencesIn } from "../../format/stored-references.js";
import { folderNameForKey } from "../../format/session-key.js";
import type { StoredObject } from "../../format/stored-value.js";
import { blobName, compareRows, parseCatalog, type Catalog, type CatalogRow } from "./catalog.js";
import { sortInSlices } from "./time-slices.js";

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
 * @returns Undefined if there are only later catalogs: the log has moved on, read it again.
 */
export function* loadCatalog(
  source: CatalogSource,
  from: number,
  to: number,
): Generator<void, Catalog | undefined> {
  const { fs, layout, storeId } = source;
  const numbers = fs
    .readdir(layout.store)
    .map(catalogNumber)
    .filter((number) => number !== undefined && number >= from) as number[];
  for (const number of numbers.sort((a, b) => b - a)) {
    if (number > to) continue;
    const catalog = yield* readCatalog(fs, layout.catalog(number), number, storeId);
    if (catalog !== undefined) return catalog;
  }
  if (numbers.some((number) => number > to)) return undefined;
  if (from === 0) return { segment: 0, revision: 0, rows: [], incomplete: false };
  source.onWarning({
    code: "catalog_rebuilt",
    message: `${layout.catalog(from)} is missing or damaged: the sessions are listed from their files, once.`,
    data: { path: layout.catalog(from), segment: from },
  });
  return yield* catalogFromFiles(source, from);
}

function* readCatalog(
  fs: FileSystem,
  path: string,
  number: number,
  storeId: string,
): Generator<void, Catalog | undefined> {
  let bytes: Buffer;
  try {
    bytes = readRegularFile(fs, path, { bytesMax: CATALOG_BYTES_MAX });
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
  let incomplete = false;
  let revision = 0;
  for (const folder of fs.readdir(layout.root)) {
    yield;
    if (folder.startsWith(".")) continue;
    const path = `${layout.root}/${folder}/${ENTRY_FILE}`;
    const read = readRow(source, folder, path);
    if (read === undefined) continue;
    if (typeof read === "string") {
      incomplete = true;
      onWarning({ code: "entry_corrupt", message: `${path} is left out: ${read}`, data: { path } });
    } else {
      rows.push(read);
      revision = Math.max(revision, read.revision);
    }
  }
  return { segment, revision, rows: yield* sortInSlices(rows, compareRows), incomplete };
}

/** The row of a session folder; undefined if it holds no session, a reason if it is damaged. */
function readRow(source: CatalogSource, folder: string, path: string): CatalogRow | string | undefined {
  try {
    if (source.fs.lstat(`${source.layout.root}/${folder}`).kind !== "directory") return undefined; // a stray file
    const parsed = parseEntryDocument(readRegularFile(source.fs, path, { bytesMax: LINE_BYTES_MAX * 2 }));
    if (!parsed.ok) return `damaged at byte ${parsed.offset}: ${parsed.reason}`;
    if (folderNameForKey(parsed.key) !== folder) return `it is the file of session ${JSON.stringify(parsed.key)}`;
    const { key, revision, stored } = parsed;
    return { key, revision, updatedAt: source.updatedAtOf(stored), blobs: referencesIn(stored).map(blobName) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR" ? undefined : message;
  }
}
