/**
 * Ops as they wait for their turn: what the caller gave, copied and checked at once, so that it may change it meanwhile.
 */
import { limitError } from "../../format/entry-limits.js";
import { freezeEntry } from "../../format/frozen-entry.js";
import type { Limits } from "../../format/limits.js";
import { setField } from "../../format/stored-value.js";
import { split, type SharedFields } from "./shared-values.js";
import type { EngineOp, RecordOp, TranscriptOp } from "../contract.js";

/** An entry, and how it is stored. */
export interface Written {
  readonly entry: object;
  /** With `null` for what is shared. */
  readonly json: string;
  readonly shared: SharedFields;
}

export type PreparedOp =
  | (Written & { readonly kind: "set"; readonly key: string; readonly base: number | undefined })
  | {
      readonly kind: "patch";
      readonly key: string;
      readonly base: number;
      readonly fields: object;
      readonly unset: readonly string[];
    }
  | (RecordOp & { readonly kind: "delete" | "check" })
  | TranscriptOp;

/** @throws what the entry, or the fields, are refused for. */
export function prepare(op: EngineOp, limits: Limits, thresholdBytes: number): PreparedOp {
  switch (op.kind) {
    case "set":
      return {
        ...written(op.entry, limits, thresholdBytes, op.key),
        kind: "set",
        key: op.key,
        base: op.base,
      };
    case "patch": {
      const fields = freezeEntry(op.fields, limits.depthMax, op.key);
      const unset = Object.keys(op.fields).filter((name) => !Object.hasOwn(fields, name));
      return { kind: "patch", key: op.key, base: op.base, fields, unset };
    }
    default:
      return op;
  }
}

/** @throws `entry_too_large`, `value_too_deep`, `TypeError` */
export function written(given: object, limits: Limits, thresholdBytes: number, key: string): Written {
  const entry = freezeEntry(given, limits.depthMax, key);
  const { json, shared, bytes: actual } = split(entry, thresholdBytes);
  const limit = limits.entryBytesMax;
  if (actual > limit) throw limitError("entry_too_large", "entry", { limit, actual }, key);
  return { entry, json, shared };
}

/** Changed fields stay in their place, new ones follow. */
export function patched(entry: object, fields: object, unset: readonly string[]): object {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(entry)) {
    if (unset.includes(name)) continue;
    setField(result, name, Object.hasOwn(fields, name) ? (fields as Record<string, unknown>)[name] : value);
  }
  for (const [name, value] of Object.entries(fields))
    if (!Object.hasOwn(result, name)) setField(result, name, value);
  return result;
}

/** Whether it takes something away from transcripts, so that what stays has to be looked up. */
export function removesItems(op: PreparedOp): boolean {
  if (op.kind === "delete") return true;
  if (op.kind !== "transcript") return false;
  return op.remove !== undefined || op.truncate !== undefined || op.trim !== undefined;
}

/** About how many bytes it sends. */
export function bytesOf(op: PreparedOp): number {
  if (op.kind === "set") return op.json.length;
  if (op.kind === "patch") return JSON.stringify(op.fields).length;
  if (op.kind !== "transcript") return 0;
  return (op.items ?? []).reduce((sum, { json }) => sum + json.length, 0);
}
