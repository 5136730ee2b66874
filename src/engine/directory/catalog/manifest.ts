/**
 * `catalog-<g>`: which sessions there are as of the end of segment g, so that a listing need not touch a hundred
 * thousand files. It is one line of the form of log lines, and names the parts that have the rows:
 *
 *     { "catalog": 6, "store": storeId, "revision": 18000, "next": 18100, "incomplete": false,
 *       "parts": [{ "name": "6-4dbb0b523a03f03d", "rows": 12, "deleted": 1, "bytes": 1843, "newest": 912, "index": 1650 }, …] }
 *
 * Newest part first. `next` is the first revision of segment g + 1, for the day that its header is damaged. Parts are never
 * edited and their names never used twice, so a catalog cannot drift; missing or damaged, it is made anew.
 */
import { lineValue } from "../../../format/checked-line.js";
import { isPartName } from "../../../format/layout.js";
import { encodeLogLine } from "../../../format/log-line.js";
import { isCount } from "../../../format/stored-value.js";

/** A file of rows, and where in it things begin. */
export interface Part {
  /** The file is called `catalog-<name>`. */
  readonly name: string;
  readonly rows: number;
  readonly deleted: number;
  /** Size of the file. */
  readonly bytes: number;
  /** Offset of the first line that has the rows newest first. */
  readonly newest: number;
  /** Offset of the last line, which says where which key is. */
  readonly index: number;
}

export interface Manifest {
  readonly segment: number;
  /** Latest revision as of the end of the segment. */
  readonly revision: number;
  /** First revision of the next segment. */
  readonly next: number;
  /** Some session could not be read when the rows were made: its shared values are unknown, so none may go. */
  readonly incomplete: boolean;
  /** Newest first. */
  readonly parts: readonly Part[];
}

/** Parts grow from one to the next, so a store has some ten of them: this is far more than there ever are. */
const PARTS_MAX = 1000;
export const MANIFEST_BYTES_MAX = PARTS_MAX * 256;

export function composeManifest(manifest: Manifest, storeId: string): Buffer {
  const { segment, revision, next, incomplete, parts } = manifest;
  const line = { catalog: segment, store: storeId, revision, next, incomplete, parts };
  return encodeLogLine(JSON.stringify(line));
}

/** @returns Undefined if the file is damaged or of another store or segment. */
export function parseManifest(bytes: Buffer, segment: number, storeId: string): Manifest | undefined {
  const end = bytes.length - 1;
  if (bytes.indexOf(0x0a) !== end) return undefined;
  const {
    catalog,
    store,
    revision,
    next,
    incomplete,
    parts: listed,
  } = lineValue(bytes.subarray(0, end)) ?? {};
  if (catalog !== segment || store !== storeId) return undefined;
  if (!isCount(revision) || !isCount(next) || typeof incomplete !== "boolean") return undefined;
  if (!Array.isArray(listed) || listed.length > PARTS_MAX) return undefined;
  const parts = listed.map(partOf);
  if (!parts.every((part) => part !== undefined)) return undefined;
  return { segment, revision, next, incomplete, parts };
}

function partOf(value: unknown): Part | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { name, rows, deleted, bytes, newest, index } = value as Record<string, unknown>;
  if (typeof name !== "string" || !isPartName(name)) return undefined;
  if (!isCount(rows) || !isCount(deleted) || !isCount(bytes) || !isCount(newest) || !isCount(index))
    return undefined;
  return newest <= index && index < bytes ? { name, rows, deleted, bytes, newest, index } : undefined;
}
