/**
 * `catalog-<g>`: every session there is as of the end of segment g, so that a listing need not touch a hundred
 * thousand files. Written once and never edited, so it cannot drift; missing or damaged, it is made anew.
 *
 * Lines as in the log (checksum, space, JSON):
 *
 *     { "catalog": 6, "store": storeId, "revision": 18000, "next": 18100, "sessions": 100000,
 *       "incomplete": false }
 *     { "rows": [[key, revision, updatedAt, [0, 1]], …], "blobs": ["9f2c…", "07aa…+"] }     256 rows a line
 *     { "end": 6, "sessions": 100000 }
 *
 * `next` is the first revision of segment g + 1, for the day that its header is damaged.
 *
 * Rows are ordered by updatedAt, newest first, ties by key, last first: the newest are in the first block. The
 * fourth member of a row, left out when empty, indexes the line's own `blobs`: the shared values that the entry
 * refers to. A "+" marks a value whose content refers to further values.
 */
import type { BlobReference } from "../../format/stored-value.js";
import type { DamagedSession } from "../contract.js";
import { sortInSlices } from "./time-slices.js";
import { CRC_DIGITS, crc32Hex } from "../../format/crc32.js";
import { encodeLogLine } from "../../format/log-line.js";

export interface CatalogRow {
  readonly key: string;
  readonly revision: number;
  readonly updatedAt: number;
  /** Shared values that the entry refers to, as in the file: a hash, with "+" if it refers to others. */
  readonly blobs: readonly string[];
}

export interface Catalog {
  readonly segment: number;
  /** Latest revision as of the end of the segment. */
  readonly revision: number;
  /** First revision of the next segment. */
  readonly next: number;
  readonly rows: readonly CatalogRow[];
  /** Some session could not be read when the rows were made: its shared values are unknown, so none may go. */
  readonly incomplete: boolean;
  /** Those sessions, where this process has made the rows from files; a catalog's file does not name them. */
  readonly damaged?: readonly DamagedSession[];
}

const ROWS_PER_LINE = 256;
const NO_BLOBS: readonly string[] = [];

/** Newest first, ties by key, last first. */
export function compareRows(
  a: Pick<CatalogRow, "key" | "updatedAt">,
  b: Pick<CatalogRow, "key" | "updatedAt">,
): number {
  return b.updatedAt - a.updatedAt || (a.key < b.key ? 1 : a.key > b.key ? -1 : 0);
}

export function blobName(reference: BlobReference): string {
  return reference.nested ? `${reference.hash}+` : reference.hash;
}

/**
 * The rows as of the end of a segment: those as of the end of the one before, without the keys that the segment
 * changed, and with what it made of them. Yields now and then, so that a long merge can be spread over time.
 */
export function* mergeRows(
  previous: readonly CatalogRow[],
  changed: ReadonlyMap<string, CatalogRow | undefined>,
): Generator<void, CatalogRow[]> {
  const fresh = yield* sortInSlices(
    [...changed.values()].filter((row) => row !== undefined),
    compareRows,
  );
  const merged: CatalogRow[] = [];
  let next = 0;
  for (const [index, row] of previous.entries()) {
    if (index % ROWS_PER_LINE === 0) yield;
    if (changed.has(row.key)) continue;
    for (let candidate = fresh[next]; candidate !== undefined; candidate = fresh[++next]) {
      if (compareRows(candidate, row) > 0) break;
      merged.push(candidate);
    }
    merged.push(row);
  }
  for (; next < fresh.length; next++) merged.push(fresh[next] as CatalogRow);
  return merged;
}

/** The file's bytes. Yields between lines. */
export function* composeCatalog(catalog: Catalog, storeId: string): Generator<void, Buffer> {
  const { segment, revision, next, rows, incomplete } = catalog;
  const header = { catalog: segment, store: storeId, revision, next, sessions: rows.length, incomplete };
  const lines = [encodeLogLine(JSON.stringify(header))];
  for (let start = 0; start < rows.length; start += ROWS_PER_LINE) {
    lines.push(encodeLogLine(composeBlock(rows.slice(start, start + ROWS_PER_LINE))));
    yield;
  }
  lines.push(encodeLogLine(JSON.stringify({ end: segment, sessions: rows.length })));
  return Buffer.concat(lines);
}

function composeBlock(rows: readonly CatalogRow[]): string {
  const blobs = new Map<string, number>();
  const indexOf = (name: string): number => {
    const known = blobs.get(name);
    if (known !== undefined) return known;
    blobs.set(name, blobs.size);
    return blobs.size - 1;
  };
  const packed = rows.map(({ key, revision, updatedAt, blobs: names }) =>
    names.length === 0 ? [key, revision, updatedAt] : [key, revision, updatedAt, names.map(indexOf)],
  );
  return JSON.stringify({ rows: packed, blobs: [...blobs.keys()] });
}

/** The first rows of a catalog. */
export interface CatalogHead {
  readonly catalog: Catalog;
  /** Whether these are all rows that it has. */
  readonly whole: boolean;
}

/**
 * Reads a catalog's bytes. Yields between lines.
 * @returns Undefined if the file is damaged or of another store or segment.
 */
export function* parseCatalog(
  bytes: Buffer,
  segment: number,
  storeId: string,
): Generator<void, Catalog | undefined> {
  const head = yield* parseCatalogHead(bytes, segment, storeId);
  return head?.whole === true ? head.catalog : undefined;
}

/**
 * Reads the first bytes of a catalog, as far as its lines are whole.
 * @returns Undefined if they are damaged or of another store or segment.
 */
export function* parseCatalogHead(
  bytes: Buffer,
  segment: number,
  storeId: string,
): Generator<void, CatalogHead | undefined> {
  const rows: CatalogRow[] = [];
  let revision: number | undefined;
  let next = 0;
  let incomplete = false;
  let start = 0;
  for (;;) {
    const newline = bytes.indexOf(0x0a, start);
    if (newline < 0) break;
    const line = decodeLine(bytes.subarray(start, newline)) as Record<string, unknown> | undefined;
    start = newline + 1;
    if (line === undefined || line === null || typeof line !== "object") return undefined;
    if (revision === undefined) {
      if (line["catalog"] !== segment || line["store"] !== storeId) return undefined;
      if (!Number.isSafeInteger(line["revision"]) || !Number.isSafeInteger(line["next"])) return undefined;
      revision = line["revision"] as number;
      next = line["next"] as number;
      incomplete = line["incomplete"] === true;
    } else if (line["end"] !== undefined) {
      const whole = line["end"] === segment && line["sessions"] === rows.length && start === bytes.length;
      return whole ? { catalog: { segment, revision, next, rows, incomplete }, whole } : undefined;
    } else if (!unpackBlock(line, rows)) {
      return undefined;
    }
    yield;
  }
  return revision === undefined
    ? undefined
    : { catalog: { segment, revision, next, rows, incomplete }, whole: false };
}

function unpackBlock(line: Record<string, unknown>, rows: CatalogRow[]): boolean {
  const { rows: packed, blobs: names } = line;
  if (!Array.isArray(packed) || !Array.isArray(names)) return false;
  for (const row of packed as unknown[]) {
    if (!Array.isArray(row)) return false;
    const [key, revision, updatedAt, indexes] = row as unknown[];
    if (typeof key !== "string" || !Number.isSafeInteger(revision) || !Number.isFinite(updatedAt))
      return false;
    let blobs = NO_BLOBS;
    if (indexes !== undefined) {
      if (!Array.isArray(indexes)) return false;
      blobs = indexes.map((index: unknown) => (names as unknown[])[index as number]) as string[];
      if (!blobs.every((name) => typeof name === "string")) return false;
    }
    rows.push({ key, revision: revision as number, updatedAt: updatedAt as number, blobs });
  }
  return true;
}

/** JSON of a line whose checksum holds, or undefined. */
function decodeLine(line: Buffer): unknown {
  const json = line.subarray(CRC_DIGITS + 1);
  if (line.toString("latin1", 0, CRC_DIGITS + 1) !== `${crc32Hex(json)} `) return undefined;
  try {
    return JSON.parse(json.toString("utf8"));
  } catch {
    return undefined;
  }
}
