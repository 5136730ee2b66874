/** A session key from the command line: checked before the program looks for a store. */
import { DEFAULT_LIMITS } from "../format/limits.js";
import { assertSessionKey } from "../format/session-key.js";
import { asUsage } from "./failure.js";

/** @throws a usage error for what is no key; `key_too_long`. */
export function acceptKey(key: string): Promise<void> {
  return asUsage(() => assertSessionKey(key, DEFAULT_LIMITS));
}
