/**
 * Session keys and the folders of a directory store, by OpenClaw's function names.
 *
 * One encoding for all of them: that of `src/format/session-key.ts`. It is injective, also where file systems ignore case,
 * and it cannot lead out of the store. A key whose encoded name would have more than 200 bytes gets a name that ends in a
 * hash; such a name cannot be turned back, the key is in its `meta.json` (`$session.key`).
 */
import {
  assertSessionKey,
  folderNameForKey,
  isHashedFolderName,
  keyFromFolderName,
} from "../../format/session-key.js";
import { DEFAULT_LIMITS } from "../../format/limits.js";
import { ENTRY_FILE } from "../../format/layout.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";

/**
 * The folder name that stands for a key. The key is taken as it is: to find a session's folder, give
 * `normalizeStoreSessionKey(key)`, or use {@link encodeDirectorySessionStoreKey}, which does that.
 * @throws `TypeError` for what cannot be a key; `key_too_long`.
 * @example
 * sanitizeSessionKey("agent:main:main"); // "agent%3Amain%3Amain"
 */
export function sanitizeSessionKey(key: string): string {
  assertSessionKey(key, DEFAULT_LIMITS);
  return folderNameForKey(key);
}

/**
 * The key that a folder name stands for, exactly as it went into {@link sanitizeSessionKey}.
 * @returns Undefined for a name that is cut and hashed (read `$session.key` in the folder's `meta.json`), and for one that
 *   no key has.
 */
export function desanitizeSessionKey(folderName: string): string | undefined {
  if (typeof folderName !== "string") throw new TypeError("folderName must be a string");
  return keyFromFolderName(folderName);
}

/**
 * Name of the folder in which a directory store keeps the session, the key trimmed and lower-cased as everywhere in this
 * module. Its entry is `<folder>/meta.json`.
 * @throws `TypeError` for a blank key or half a character; `key_too_long`.
 */
export function encodeDirectorySessionStoreKey(sessionKey: string): string {
  if (typeof sessionKey !== "string") throw new TypeError("sessionKey must be a string");
  return sanitizeSessionKey(normalizeStoreSessionKey(sessionKey));
}

/**
 * The session key of a name in a directory store: `<folder>` or `<folder>/meta.json`.
 * @returns Null for names that are no session's, and for hashed ones ({@link isHashedSessionFolderName}).
 */
export function decodeDirectorySessionStoreEntryFileName(fileName: string): string | null {
  if (typeof fileName !== "string") throw new TypeError("fileName must be a string");
  const suffix = `/${ENTRY_FILE}`;
  const folder = fileName.endsWith(suffix) ? fileName.slice(0, -suffix.length) : fileName;
  return keyFromFolderName(folder) ?? null;
}

/** Whether the name is that of a session whose key only its file knows. */
export function isHashedSessionFolderName(folderName: string): boolean {
  return typeof folderName === "string" && isHashedFolderName(folderName);
}
