/**
 * What a catalog says of a session, in its two orders, and the lines that it stands in.
 */
import { isCount, type BlobReference } from "../../../format/stored-value.js";
import type { LineValue } from "../../../format/checked-line.js";
import { encodeLogLine } from "../../../format/log-line.js";

/** A row of the newest-first order. */
export interface NewestRow {
  readonly key: string;
  readonly revision: number;
  readonly updatedAt: number;
}

export interface CatalogRow extends NewestRow {
  /** Shared values that the entry refers to, as in the file: a hash, with "+" if it refers to others. */
  readonly blobs: readonly string[];
}

/** Stands for a session that was deleted, as long as an older part may have a row of it. */
export interface Deletion {
  readonly key: string;
  readonly revision: undefined;
}

export type Change = CatalogRow | Deletion;

/** Few enough that one session is found quickly in a line, many enough that there are not many lines. */
export const ROWS_PER_LINE = 128;
const NO_BLOBS: readonly string[] = [];

/** Newest first, ties by key, last first. */
export function compareRows(
  a: Pick<NewestRow, "key" | "updatedAt">,
  b: Pick<NewestRow, "key" | "updatedAt">,
): number {
  return b.updatedAt - a.updatedAt || (a.key < b.key ? 1 : a.key > b.key ? -1 : 0);
}

export function compareKeys(
  { key: a }: { readonly key: string },
  { key: b }: { readonly key: string },
): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function isRow(change: Change): change is CatalogRow {
  return change.revision !== undefined;
}

export function blobName(reference: BlobReference): string {
  return reference.nested ? `${reference.hash}+` : reference.hash;
}

/** A line by key. A row names its shared values by their places in the line's own list. */
export function changesLine(changes: readonly Change[]): Buffer {
  const blobs = new Map<string, number>();
  const indexOf = (name: string): number => {
    const known = blobs.get(name);
    if (known !== undefined) return known;
    blobs.set(name, blobs.size);
    return blobs.size - 1;
  };
  const rows = changes.map((change) => {
    if (!isRow(change)) return [change.key];
    const { key, revision, updatedAt, blobs: names } = change;
    return names.length === 0 ? [key, revision, updatedAt] : [key, revision, updatedAt, names.map(indexOf)];
  });
  return encodeLogLine(JSON.stringify({ rows, blobs: [...blobs.keys()] }));
}

/** A line of the newest-first order. */
export function newestLine(rows: readonly NewestRow[]): Buffer {
  return encodeLogLine(JSON.stringify({ newest: rows.map((row) => [row.key, row.revision, row.updatedAt]) }));
}

/** @returns Undefined if the line is not one by key. */
export function changesOf(line: LineValue): Change[] | undefined {
  const { rows, blobs: names } = line;
  if (!Array.isArray(rows) || !Array.isArray(names)) return undefined;
  const changes: Change[] = [];
  for (const row of rows as unknown[]) {
    if (!Array.isArray(row)) return undefined;
    const [key, revision, updatedAt, indexes] = row as unknown[];
    if (row.length === 1 && typeof key === "string") changes.push({ key, revision: undefined });
    else if (!isPlace(key, revision, updatedAt)) return undefined;
    else {
      let blobs = NO_BLOBS;
      if (indexes !== undefined) {
        if (!Array.isArray(indexes)) return undefined;
        blobs = indexes.map((index: unknown) => (names as unknown[])[index as number]) as string[];
        if (!blobs.every((name) => typeof name === "string")) return undefined;
      }
      changes.push({
        key: key as string,
        revision: revision as number,
        updatedAt: updatedAt as number,
        blobs,
      });
    }
  }
  return changes;
}

/** @returns Undefined if the line is not one of the newest-first order. */
export function newestOf({ newest }: LineValue): NewestRow[] | undefined {
  if (!Array.isArray(newest)) return undefined;
  const rows: NewestRow[] = [];
  for (const row of newest as unknown[]) {
    if (!Array.isArray(row)) return undefined;
    const [key, revision, updatedAt] = row as unknown[];
    if (!isPlace(key, revision, updatedAt)) return undefined;
    rows.push({ key: key as string, revision: revision as number, updatedAt: updatedAt as number });
  }
  return rows;
}

function isPlace(key: unknown, revision: unknown, updatedAt: unknown): boolean {
  return typeof key === "string" && isCount(revision) && Number.isFinite(updatedAt);
}
