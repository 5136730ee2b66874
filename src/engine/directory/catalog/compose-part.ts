/**
 * The bytes of a part, from the layers that go into it. Lines of the form of log lines:
 *
 *     { "part": "6-4dbb0b523a03f03d", "store": storeId }
 *     { "rows": [[key, revision, updatedAt, [0, 1]], [key], …], "blobs": ["9f2c…", "07aa…+"] }     by key, 128 a line
 *     { "newest": [[key, revision, updatedAt], …] }                                    newest first, 128 a line
 *     { "index": [[key, offset], …], "end": "6-4dbb0b523a03f03d" }        the first key of each line by key, and where that is
 *
 * By key a row has all that is known, and a key alone says that the session was deleted. The fourth member, left out when
 * empty, indexes the line's own `blobs`: the shared values that the entry refers to. A "+" marks a value whose content refers to
 * further values. Newest first means by updatedAt, ties by key, last first.
 *
 * Of many rows a few lines are in memory, and the keys that stand in more than one layer.
 */
import { encodeLogLine } from "../../../format/log-line.js";
import { merged, newestRows, type Layer } from "./layer.js";
import type { Part } from "./manifest.js";
import { changesLine, isRow, newestLine, ROWS_PER_LINE, type Change, type CatalogRow } from "./row.js";

export interface PartPlan {
  readonly name: string;
  readonly storeId: string;
  /** Newest first. */
  readonly layers: readonly Layer[];
  /** Whether no older part is left: then deletions have nothing to stand over. */
  readonly oldest: boolean;
}

/** @returns A generator of lines, one after the other, which are the file. */
export function* composePart({ name, storeId, layers, oldest }: PartPlan): Generator<Buffer, Part> {
  const overridden = layers.map(() => new Set<string>());
  const index: [key: string, offset: number][] = [];
  let bytes = 0;
  let rows = 0;
  let changes = 0;
  const counted = (line: Buffer): Buffer => {
    bytes += line.length;
    return line;
  };
  yield counted(encodeLogLine(JSON.stringify({ part: name, store: storeId })));
  const onOverridden = (layer: number, key: string): void => void overridden[layer]?.add(key);
  for (const some of kept(merged(layers, { onOverridden }), oldest)) {
    index.push([some[0]?.key ?? "", bytes]);
    changes += some.length;
    rows += some.filter(isRow).length;
    yield counted(changesLine(some));
  }
  const newest = bytes;
  for (const some of newestRows(layers, (layer, key) => overridden[layer]?.has(key) === true))
    yield counted(newestLine(some));
  const part = { name, rows, deleted: changes - rows, newest, index: bytes };
  yield counted(encodeLogLine(JSON.stringify({ index, end: name })));
  return { ...part, bytes };
}

/** What is written of the changes: full lines, without deletions in the oldest part. */
function* kept(
  lines: Iterable<readonly Change[]>,
  oldest: boolean,
): Generator<readonly Change[] | readonly CatalogRow[], void> {
  if (!oldest) {
    yield* lines;
    return;
  }
  let some: CatalogRow[] = [];
  for (const line of lines) {
    some.push(...line.filter(isRow));
    if (some.length < ROWS_PER_LINE) continue;
    yield some.slice(0, ROWS_PER_LINE);
    some = some.slice(ROWS_PER_LINE);
  }
  if (some.length > 0) yield some;
}

/** To write so many changes costs hardly more than to write one. */
const SMALL = 32;
/** A part stays as it is while it has more than so many times as many changes as all newer ones. */
const RATIO = 2;
/** What is merged is on the disk twice for a moment: it may take so much of the room there is, and stays as it is otherwise. */
const SHARE_OF_ROOM = 1 / 8;
/** So many parts are never left, whatever the room: they would be slow to read. */
const PARTS_MAX = 100;

/**
 * How many of the newest parts go into a new one with so many changes. What stays is each more than twice as large as all that was
 * newer when it was last looked at: of a million sessions there are about ten parts, and a change is written again some ten times.
 * @param freeBytes Room on the disk.
 */
export function partsToMerge(changes: number, parts: readonly Part[], freeBytes: number): number {
  const bytesMax = parts.length < PARTS_MAX ? freeBytes * SHARE_OF_ROOM : Number.POSITIVE_INFINITY;
  let taken = changes;
  let takenBytes = 0;
  for (const [number, { rows, deleted, bytes }] of parts.entries()) {
    const size = rows + deleted;
    takenBytes += bytes;
    if (size > Math.max(RATIO * taken, SMALL) || takenBytes > bytesMax) return number;
    taken += size;
  }
  return parts.length;
}
