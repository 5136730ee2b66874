/**
 * Which files a backup has. Of 100,000 sessions that is a list of many megabytes, so it is kept as the store keeps its
 * catalog: in parts, the newest first, each an object that is never changed. A backup adds a part of what changed since the
 * one before, and of those newest parts that are not more than twice as large as what is in it already; it names the other
 * parts again.
 *
 * A part is lines of JSON, by path: `[path, bytes, sha256, modifiedAt, inode]`, with a sixth member, the hashes of its
 * pieces, where a file has more than one; `[path]` says that an older part's row does not count any more.
 */
import { isCount } from "../../format/stored-value.js";
import { ENTRY_FILE, partsOfChunkName } from "../../format/layout.js";
import { isHash } from "./objects.js";

/** One file of a backup. */
export interface Row {
  /** In the store, with `/` between names. */
  readonly path: string;
  readonly bytes: number;
  /** Of the whole file. */
  readonly sha256: string;
  /** Of the store's file as it was read: milliseconds since 1970. With the inode it tells that nobody wrote to it since. */
  readonly modifiedAt: number;
  readonly inode: string;
  /** Hashes of its pieces in order; left out where the file is one piece. */
  readonly pieces?: readonly string[];
}

/** A part of a backup's list. */
export interface ListPart {
  readonly sha256: string;
  /** Removals included. */
  readonly rows: number;
  readonly bytes: number;
}

export type Rows = ReadonlyMap<string, Row>;
/** Undefined: the file is not there any more. */
export type Changes = ReadonlyMap<string, Row | undefined>;

export function piecesOf({ pieces, sha256 }: Row): readonly string[] {
  return pieces ?? [sha256];
}

export function changesBetween(before: Rows, after: Rows): Map<string, Row | undefined> {
  const changes = new Map<string, Row | undefined>();
  for (const [path, row] of after) if (!isSame(before.get(path), row)) changes.set(path, row);
  for (const path of before.keys()) if (!after.has(path)) changes.set(path, undefined);
  return changes;
}

function isSame(one: Row | undefined, other: Row): boolean {
  return (
    one !== undefined &&
    one.sha256 === other.sha256 &&
    one.bytes === other.bytes &&
    one.modifiedAt === other.modifiedAt &&
    one.inode === other.inode
  );
}

export function composePart(changes: Changes): Buffer {
  const lines: string[] = [];
  for (const [path, row] of [...changes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (row === undefined) lines.push(JSON.stringify([path]));
    else {
      const { bytes, sha256, modifiedAt, inode, pieces } = row;
      const rest = pieces === undefined ? [] : [pieces];
      lines.push(JSON.stringify([path, bytes, sha256, modifiedAt, inode, ...rest]));
    }
  }
  return Buffer.from(lines.map((line) => `${line}\n`).join(""));
}

/** @throws A plain error that says what is wrong: the bytes are those that were written, and no list. */
export function parsePart(bytes: Buffer): Map<string, Row | undefined> {
  const changes = new Map<string, Row | undefined>();
  for (const line of bytes.toString("utf8").split("\n")) {
    if (line === "") continue;
    const [path, row] = parseRow(JSON.parse(line) as unknown);
    changes.set(path, row);
  }
  return changes;
}

function parseRow(value: unknown): [string, Row | undefined] {
  if (!Array.isArray(value)) throw new Error("a row is no array");
  const [path, bytes, sha256, modifiedAt, inode, pieces] = value as unknown[];
  if (typeof path !== "string" || !isStorePath(path)) throw new Error("a path is no file of a store");
  if (value.length === 1) return [path, undefined];
  if (!isCount(bytes) || !isHash(sha256) || typeof modifiedAt !== "number" || typeof inode !== "string")
    throw new Error("a row has other members");
  const row = { path, bytes, sha256, modifiedAt, inode };
  if (pieces === undefined) return [path, row];
  if (!Array.isArray(pieces) || !pieces.every(isHash)) throw new Error("pieces are no hashes");
  return [path, { ...row, pieces }];
}

/** No file system takes longer names. */
const NAME_BYTES_MAX = 255;
const INTERNAL =
  /^\.store\/(?:format\.json|log\/\d{8,15}\.jsonl|(?:catalog|operations)-[0-9a-f-]+|blobs\/[0-9a-f]{2}\/[0-9a-f]{64}\.json)$/;

/**
 * Whether a path is one of those that a backup copies: no list, however it was made, leads out of the store, or puts anything else into
 * it.
 */
export function isStorePath(path: string): boolean {
  if (INTERNAL.test(path)) return true;
  const [folder = "", name = "", ...deeper] = path.split("/");
  if (deeper.length > 0 || !isFolderName(folder)) return false;
  return name === ENTRY_FILE || (partsOfChunkName(name) !== undefined && isName(name));
}

function isFolderName(name: string): boolean {
  return isName(name) && !name.startsWith(".");
}

function isName(name: string): boolean {
  return name !== "" && !/[\0\\/]/.test(name) && Buffer.byteLength(name) <= NAME_BYTES_MAX;
}

/** How much larger a part may be than what is merged into it already. */
const RATIO = 2;

/**
 * What the new part has, and which older ones stay behind it.
 * @param load Content of an older part.
 */
export function mergeParts(
  changes: Changes,
  older: readonly ListPart[],
  load: (part: ListPart) => Changes,
): { readonly changes: Changes; readonly rest: readonly ListPart[] } {
  if (changes.size === 0) return { changes, rest: older };
  const merged = new Map(changes);
  let taken = 0;
  for (const part of older) {
    if (part.rows > RATIO * merged.size) break;
    for (const [path, row] of load(part)) if (!merged.has(path)) merged.set(path, row);
    taken++;
  }
  const rest = older.slice(taken);
  if (rest.length === 0) for (const [path, row] of merged) if (row === undefined) merged.delete(path);
  return { changes: merged, rest };
}

/** The rows that parts add up to, newest part first. */
export function addUp(parts: readonly Changes[]): Map<string, Row> {
  const seen = new Map<string, Row | undefined>();
  for (const part of parts) for (const [path, row] of part) if (!seen.has(path)) seen.set(path, row);
  const rows = new Map<string, Row>();
  for (const [path, row] of seen) if (row !== undefined) rows.set(path, row);
  return rows;
}
