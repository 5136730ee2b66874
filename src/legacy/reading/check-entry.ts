/** Whether an entry of a legacy store can become a session, and if not, why: by name, never silently. */
import { SessionStoreError } from "../../errors.js";
import type { Limits } from "../../format/limits.js";
import { assertSessionKey } from "../../format/session-key.js";
import type { LegacyEntry } from "./read-file.js";
import type { Refusal, RefusalReason } from "../base/types.js";

/** How entries are looked at; options with every default filled in. */
export interface EntryRules {
  readonly normalizeKey: ((key: string) => string) | undefined;
  readonly updatedAt: (entry: object) => number;
  readonly limits: Limits;
}

export type CheckedEntry =
  | { readonly ok: true; readonly key: string; readonly entry: object; readonly updatedAt: number }
  | { readonly ok: false; readonly refusal: Refusal };

export function checkEntry(
  { key: given, value, levels, bytes }: LegacyEntry,
  rules: EntryRules,
): CheckedEntry {
  const key = acceptedKey(given, rules);
  if (typeof key !== "string") return { ok: false, refusal: key };
  if (value === null) return refused(given, "null_entry", "it is null");
  const { depthMax, entryBytesMax } = rules.limits;
  if (levels > depthMax)
    return refused(given, "value_too_deep", `it nests ${levels} levels; at most ${depthMax} are allowed`);
  if (value === undefined) {
    return refused(given, "entry_too_large", `it has ${bytes} bytes; at most ${entryBytesMax} are allowed`);
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    const what = Array.isArray(value) ? "an array" : `a ${typeof value}`;
    return refused(given, "not_an_object", `it is ${what}, and a session is an object`);
  }
  return { ok: true, key, entry: value, updatedAt: rules.updatedAt(value) };
}

const LIMIT_CODES: ReadonlySet<string> = new Set([
  "key_too_long",
  "entry_too_large",
  "record_too_large",
  "blob_too_large",
  "value_too_deep",
]);

/**
 * The refusal of a session that the store itself would not take; undefined for any other error.
 * @param only The session, where there is only one that it can be.
 */
export function refusalOf(error: unknown, only?: string): Refusal | undefined {
  if (!(error instanceof SessionStoreError) || !LIMIT_CODES.has(error.code)) return undefined;
  const { key = only } = error.data;
  if (typeof key !== "string") return undefined;
  return { key, reason: error.code as RefusalReason, message: error.message };
}

/** Whether sessions that the store would take one by one do not fit one transaction. */
export function isTooMuchTogether(error: unknown): boolean {
  return (
    error instanceof SessionStoreError && error.code === "record_too_large" && error.data.key === undefined
  );
}

function acceptedKey(given: string, { normalizeKey, limits }: EntryRules): string | Refusal {
  let key = given;
  if (normalizeKey !== undefined) {
    try {
      key = normalizeKey(given);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return {
        key: given,
        reason: "key_not_normalized",
        message: `${quoted(given)}: normalizeKey failed: ${reason}`,
      };
    }
  }
  try {
    assertSessionKey(key, limits);
    return key;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const tooLong = error instanceof SessionStoreError;
    return { key: given, reason: tooLong ? "key_too_long" : "key_invalid", message };
  }
}

function refused(key: string, reason: RefusalReason, what: string): CheckedEntry {
  return { ok: false, refusal: { key, reason, message: `${quoted(key)}: ${what}` } };
}

function quoted(key: string): string {
  return JSON.stringify(key.length > 200 ? `${key.slice(0, 200)}…` : key);
}
