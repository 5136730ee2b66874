/** Gives the keys of many sessions another beginning, one session after the other: killed in between, the same call does the rest. */
import { throwIfAborted } from "../../store/retry.js";
import type { AnyStore } from "./options.js";
import { renameKey, type RenameOptions, type RenameReport } from "./rename-key.js";
import { selectedKeys } from "./selected-keys.js";

export interface RenamePrefixOptions extends RenameOptions {
  /** Hears of every session that was renamed, or would be. */
  readonly onRenamed?: ((report: RenameReport) => void) | undefined;
}

/**
 * Renames every session whose key starts with `from`: the rest of the key stays.
 * @returns How many were renamed.
 * @throws `TypeError` for two equal beginnings, or an empty one; `session_exists` at the first new key that is there, when those before it are
 *   renamed; what {@link renameKey} throws.
 * @example
 * await renamePrefix(store, "agent:old:", "agent:new:");
 */
export async function renamePrefix(
  store: AnyStore,
  from: string,
  to: string,
  { onRenamed, ...options }: RenamePrefixOptions = {},
): Promise<number> {
  if (from === "" || to === "" || from === to)
    throw new TypeError("the old and the new beginning of the keys must differ, and not be empty");
  // All of them first: new keys may start like the old ones.
  const keys: string[] = [];
  for await (const key of selectedKeys(store, { prefix: from }, () => {})) keys.push(key);
  for (const key of keys) {
    throwIfAborted(options.signal);
    const report = await renameKey(store, key, to + key.slice(from.length), options);
    onRenamed?.(report);
  }
  return keys.length;
}
