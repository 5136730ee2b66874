/**
 * What the catalogs say of the sessions, as of the end of a segment that is gone: which there are, and with which revision.
 */
import { isMissing } from "../../fs/missing.js";
import { readRegularFile } from "../../fs/regular-file.js";
import { namesInNow } from "../../fs/status.js";
import { catalogNumber, liveRun, partOfFileName, segmentNumber } from "../../format/layout.js";
import { catalogsAmong } from "../../engine/directory/catalog-loader.js";
import { liveRows } from "../../engine/directory/catalog/layer.js";
import { MANIFEST_BYTES_MAX, parseManifest, type Manifest } from "../../engine/directory/catalog/manifest.js";
import { DamagedPart, PartFiles } from "../../engine/directory/catalog/part-file.js";
import { changesOf, isRow, type CatalogRow } from "../../engine/directory/catalog/row.js";
import { lineValue, type LineValue } from "../../format/checked-line.js";
import type { Seen } from "./seen.js";

const NEWLINE = 0x0a;
/** A million sessions with long keys. */
const PART_BYTES_MAX = 1024 * 1024 * 1024;

export interface CatalogLook {
  /** Rows of the newest catalog that can be used, by key; of one that is damaged, those that can be read. Undefined if there is none. */
  readonly rows: ReadonlyMap<string, CatalogRow> | undefined;
  /** Whatever is not in `rows` was no session then. */
  readonly isWhole: boolean;
  /** The segment whose end it is about. */
  readonly segment: number;
  /** Some session was not known when it was made. */
  readonly incomplete: boolean;
  readonly damaged: readonly { readonly path: string; readonly reason: string }[];
  /** Later than the log allows: they came with a copy. */
  readonly ahead: readonly string[];
  /** A catalog must be there, and none is. */
  readonly missing: boolean;
  /** Files that no catalog which counts needs. */
  readonly unused: readonly string[];
}

export function lookAtCatalog(seen: Seen): CatalogLook {
  const { fs, layout, storeId } = seen;
  const names = namesInNow(fs, layout.store);
  const live = liveRun(namesInNow(fs, layout.log).flatMap((name) => segmentNumber(name) ?? []));
  const [lowest = 0] = live;
  const highest = live.at(-1) ?? 0;
  const damaged: { path: string; reason: string }[] = [];
  const used = new Set<string>();
  let found: { manifest: Manifest; rows: Map<string, CatalogRow> } | undefined;
  const numbers = catalogsAmong(names, 0);
  for (const number of numbers) {
    if (number > highest - 1 || number < lowest - 1 || storeId === undefined) continue;
    const manifest = manifestOf(seen, number, storeId, damaged);
    if (manifest === undefined) continue;
    for (const { name } of manifest.parts) used.add(name);
    const rows = rowsOf(seen, manifest, damaged);
    if (rows !== undefined) found ??= { manifest, rows };
  }
  const isUsed = (name: string): boolean => {
    const part = partOfFileName(name);
    if (part !== undefined) return used.has(part.name) || part.segment >= lowest - 1;
    const number = catalogNumber(name);
    return number === undefined || number >= lowest - 1;
  };
  return {
    rows: found?.rows ?? (damaged.length > 0 ? rowsLeft(seen, names) : undefined),
    isWhole: found === undefined ? lowest === 1 && damaged.length === 0 : !found.manifest.incomplete,
    segment: found?.manifest.segment ?? 0,
    incomplete: found?.manifest.incomplete ?? false,
    damaged,
    ahead:
      highest === 0 ? [] : numbers.filter((number) => number > highest - 1).map((n) => layout.catalog(n)),
    missing: found === undefined && damaged.length === 0 && lowest > 1,
    unused: names.filter((name) => !isUsed(name)).map((name) => `${layout.store}/${name}`),
  };
}

function manifestOf(
  { fs, layout }: Seen,
  number: number,
  storeId: string,
  damaged: { path: string; reason: string }[],
): Manifest | undefined {
  const path = layout.catalog(number);
  try {
    const bytes = readRegularFile(fs, path, { bytesMax: MANIFEST_BYTES_MAX });
    const manifest = parseManifest(bytes, number, storeId);
    if (manifest === undefined)
      damaged.push({ path, reason: "its checksum does not match, or it is of another store or segment" });
    return manifest;
  } catch (error) {
    if (!isMissing(error)) damaged.push({ path, reason: reasonOf(error) });
    return undefined;
  }
}

/** All rows in both orders: a catalog that is used is used whole. */
function rowsOf(
  { fs, layout }: Seen,
  { parts }: Manifest,
  damaged: { path: string; reason: string }[],
): Map<string, CatalogRow> | undefined {
  const files = new PartFiles(fs, layout);
  const rows = new Map<string, CatalogRow>();
  let whole = true;
  const layers = files.layersOf(parts);
  for (const layer of layers) {
    try {
      for (const _ of drain(layer.byKey())) void _;
      for (const _ of drain(layer.newest())) void _;
      layer.find("");
    } catch (error) {
      if (!(error instanceof DamagedPart)) throw error;
      whole = false;
      damaged.push({ path: layout.part(error.part), reason: error.message });
    }
  }
  if (!whole) return undefined;
  for (const some of liveRows(layers)) for (const row of some) rows.set(row.key, row);
  return rows;
}

/**
 * What the lines of parts still say where no catalog can be used: a newer part's row stands over an older one's. Deletions that cannot be
 * read are not known, so a session may be among them that is gone.
 */
function rowsLeft(
  { fs, layout, storeId }: Seen,
  names: readonly string[],
): Map<string, CatalogRow> | undefined {
  const parts = names.flatMap((name) => partOfFileName(name) ?? []);
  const rows = new Map<string, CatalogRow>();
  const decided = new Set<string>();
  for (const { name } of parts.sort((a, b) => b.segment - a.segment)) {
    for (const line of checkedLines(fs, layout.part(name))) {
      if (line["store"] !== undefined && line["store"] !== storeId) break;
      for (const change of changesOf(line) ?? []) {
        if (decided.has(change.key)) continue;
        decided.add(change.key);
        if (isRow(change)) rows.set(change.key, change);
      }
    }
  }
  return rows.size === 0 ? undefined : rows;
}

function* checkedLines(fs: Seen["fs"], path: string): Generator<LineValue> {
  let bytes: Buffer;
  try {
    bytes = readRegularFile(fs, path, { bytesMax: PART_BYTES_MAX });
  } catch {
    return; // it is told as damaged already
  }
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
    const line = lineValue(bytes.subarray(start, end));
    if (line !== undefined) yield line;
    start = end + 1;
  }
}

function* drain<T>(iterator: Iterator<T, void>): Generator<T, void> {
  for (let step = iterator.next(); step.done !== true; step = iterator.next()) yield step.value;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
