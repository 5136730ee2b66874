/**
 * Paths inside of entries, rewritten in place: one commit a session, of the fields that change and nothing else.
 *
 * Killed anywhere, some sessions are done and the others are not; the same call does the rest. A session that others change at the
 * same time is read again.
 */
import { isSessionDamaged } from "../../errors.js";
import { throwIfAborted } from "../../store/retry.js";
import type { DamagedExport } from "./export.js";
import type { AnyStore, Selection } from "./options.js";
import { checkRules, rewriteEntry, type RewriteRule } from "./rewrite-rule.js";
import { selectedKeys } from "./selected-keys.js";

export interface RewriteOptions extends Selection {
  /** Nothing is written. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Ends the work with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Hears after every session how many there were so far. */
  readonly onProgress?: ((sessions: number) => void) | undefined;
}

export interface RewriteReport {
  readonly dryRun: boolean;
  /** Sessions that were looked at. */
  readonly sessions: number;
  /** Sessions that changed, and in how many fields. */
  readonly changed: number;
  readonly fields: number;
  /** Keys that were named and are not there. */
  readonly missing: readonly string[];
  /** Sessions that cannot be read: they are as they were. */
  readonly damaged: readonly DamagedExport[];
}

/**
 * Rewrites paths in entries of a store.
 * @throws `TypeError` for a wrong rule; what reading and writing throws.
 * @example
 * const rules = [{ field: ["sessionFile"], from: "/home/old/.openclaw", to: "/home/new/.openclaw" }];
 * const { changed } = await rewritePaths(store, rules, { dryRun: true });
 */
export async function rewritePaths(
  store: AnyStore,
  rules: readonly RewriteRule[],
  options: RewriteOptions = {},
): Promise<RewriteReport> {
  const { dryRun = false, signal, onProgress } = options;
  checkRules(rules);
  const damaged: DamagedExport[] = [];
  const missing: string[] = [];
  const named = new Set(options.keys);
  let [sessions, changed, fields] = [0, 0, 0];
  const keys = selectedKeys(store, options, ({ reason, path }) =>
    damaged.push({ key: undefined, code: "entry_corrupt", message: `${path}: ${reason}` }),
  );
  for await (const key of keys) {
    throwIfAborted(signal);
    try {
      const count = await rewriteOne(store, key, rules, dryRun, signal);
      if (count === undefined) {
        if (named.has(key)) missing.push(key);
        continue;
      }
      sessions += 1;
      if (count > 0) changed += 1;
      fields += count;
    } catch (error) {
      if (!isSessionDamaged(error)) throw error;
      damaged.push({ key, code: error.code, message: error.message });
    }
    onProgress?.(sessions);
  }
  return { dryRun, sessions, changed, fields, missing, damaged };
}

/** @returns How many fields changed; undefined if there is no record. */
async function rewriteOne(
  store: AnyStore,
  key: string,
  rules: readonly RewriteRule[],
  dryRun: boolean,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  let fields: number | undefined;
  const change = (entry: object | undefined): object | undefined => {
    fields = undefined;
    if (entry === undefined) return undefined;
    const rewritten = rewriteEntry(entry, rules);
    ({ fields } = rewritten);
    return rewritten.entry;
  };
  if (dryRun) change((await store.get(key)) as object | undefined);
  else await store.update(key, change, { signal });
  return fields;
}
