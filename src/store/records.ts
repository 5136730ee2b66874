/**
 * From the engine's records to the caller's: every record that leaves is a new object around the shared, frozen entry,
 * so that no caller can change what the engine keeps.
 */
import type { EngineQuery, EngineRecord, EngineScan } from "../engine/contract.js";
import { encodeCursor } from "./query.js";
import type { SessionList, SessionRecord } from "./types.js";

export function toRecord<T extends object>(record: EngineRecord | undefined): SessionRecord<T> | undefined {
  if (record === undefined) return undefined;
  const { key, entry, revision, modifiedAt } = record;
  return { key, entry: entry as Readonly<T>, revision, modifiedAt };
}

export function toList<T extends object>(scan: EngineScan, query: EngineQuery): SessionList<T> {
  const { records, next, damaged } = scan;
  const sessions = records.map((record) => toRecord<T>(record)!);
  return {
    sessions,
    ...(next !== undefined && { cursor: encodeCursor(next, query) }),
    ...(damaged !== undefined && { damaged }),
  };
}
