/**
 * A page of a listing, out of layers: as few lines of each as there must be.
 */
import type { EngineQuery } from "../../contract.js";
import { isIn, liveRows, newestRows, type Layer } from "./layer.js";
import type { NewestRow } from "./row.js";

export interface Page {
  readonly rows: readonly NewestRow[];
  /** There are further ones. */
  readonly more: boolean;
}

/** @param query By key, ascending, from a prefix or behind a key; or the newest of all. */
export function pageOf(layers: readonly Layer[], query: EngineQuery): Page {
  const { orderBy, prefix, after, limit } = query;
  const rows: NewestRow[] = [];
  if (orderBy === "key") {
    const from = after !== undefined && after.key > prefix ? after.key : prefix;
    for (const some of liveRows(layers, from)) {
      for (const row of some) {
        if (row.key === after?.key) continue;
        if (!row.key.startsWith(prefix)) return { rows, more: false };
        if (rows.length >= limit) return { rows, more: true };
        rows.push(row);
      }
    }
    return { rows, more: false };
  }
  for (const some of newestRows(layers, (layer, key) => isIn(layers, layer, key), limit + 1)) {
    for (const row of some) {
      if (rows.length >= limit) return { rows, more: true };
      rows.push(row);
    }
  }
  return { rows, more: false };
}
