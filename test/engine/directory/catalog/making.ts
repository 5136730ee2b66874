/** Parts of catalogs in memory, for tests. */
import { composePart, type PartPlan } from "../../../../src/engine/directory/catalog/compose-part.js";
import { MemoryLayer, type Layer } from "../../../../src/engine/directory/catalog/layer.js";
import type { Part } from "../../../../src/engine/directory/catalog/manifest.js";
import { PartFile } from "../../../../src/engine/directory/catalog/part-file.js";
import type { CatalogRow, Change } from "../../../../src/engine/directory/catalog/row.js";
import { runNow } from "../../../../src/engine/directory/time-slices.js";

export const STORE_ID = "c0ffee";
const HASHES = ["a", "b", "c"].map((digit) => digit.repeat(64));

/** A part and the bytes of its file. */
export interface Composed {
  readonly part: Part;
  readonly bytes: Buffer;
}

export function compose(layers: readonly Layer[], plan: Partial<PartPlan> = {}): Composed {
  const lines = composePart({ name: "6-00ff", storeId: STORE_ID, layers, oldest: false, ...plan });
  const file: Buffer[] = [];
  for (;;) {
    const line = lines.next();
    if (line.done === true) return { part: line.value, bytes: Buffer.concat(file) };
    file.push(line.value);
  }
}

/** Reads a part from memory, and counts what is read. */
export function read({ part, bytes }: Composed): { file: PartFile; bytesRead: () => number } {
  let count = 0;
  const file = new PartFile(part, (_, offset, length) => {
    const some = bytes.subarray(offset, offset + length);
    count += some.length;
    return some;
  });
  return { file, bytesRead: () => count };
}

export const layerOf = (changes: readonly Change[]): MemoryLayer => runNow(MemoryLayer.of(changes));

export const keyOf = (index: number): string => `session ${String(index).padStart(6, "0")}`;

/** A row of chance; many have the same time. */
export function rowOf(key: string, revision: number, random: () => number): CatalogRow {
  const blobs = HASHES.filter(() => random() < 0.2).map((hash) => (random() < 0.5 ? hash : `${hash}+`));
  return { key, revision, updatedAt: Math.floor(random() * 50), blobs };
}

export function rowsOf(count: number, random: () => number): CatalogRow[] {
  return Array.from({ length: count }, (_, index) => rowOf(keyOf(index), index + 1, random));
}

export const flat = <T>(lines: Iterator<readonly T[], void>): T[] => {
  const all: T[] = [];
  for (let line = lines.next(); line.done !== true; line = lines.next()) all.push(...line.value);
  return all;
};
