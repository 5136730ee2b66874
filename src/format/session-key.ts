/**
 * Session keys and the folder names that stand for them.
 *
 * A key is opaque: any well-formed, non-empty string. A folder name is its UTF-8, with every byte outside
 * `a-z 0-9 - _ . = + @ ,` written as `%XX`. What file systems treat specially is encoded too: a leading dot
 * (`.store` is ours, `..` escapes), a trailing dot (Windows drops it) and the first character of Windows'
 * reserved names, alone or with an extension.
 *
 * Invariants:
 *  - Injective, also where file systems ignore case: the only letters in upper case are hex digits, and those
 *    are in upper case always.
 *  - A name has at most 200 bytes. One that would have more becomes its first 120 bytes (118 or 119 rather than
 *    a torn `%XX`), `~`, and the SHA-256 of the key as 64 lower-case hex digits. Hex rather than base64url,
 *    whose upper case would have to be encoded away: hex is injective in lower case as it is, and `sha256sum`
 *    prints it. `~` occurs in no other name.
 *  - The key inside the file is the truth; a hashed name cannot be turned back.
 */
import { createHash } from "node:crypto";
import { SessionStoreError } from "../errors.js";
import type { Limits } from "./limits.js";

/** A longer encoded name is cut and hashed. Well below the 255 bytes that file systems allow. */
const NAME_BYTES_MAX = 200;
/** How much of a long name is kept for the human eye. */
const HASHED_PREFIX_BYTES_MAX = 120;

/** `%XX` of each byte, or the character itself where it needs no encoding. */
const ENCODED_BYTE: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return /[a-z0-9\-_.=+@,]/.test(character) ? character : escapeByte(byte);
});

const PLAIN_NAME = /^[a-z0-9\-_.=+@,]+$/;
const SHORT_NAME = /^(?:[a-z0-9\-_.=+@,]|%[0-9A-F]{2})+$/;
const HASHED_NAME = /^(?!\.)(?:[a-z0-9\-_.=+@,]|%[0-9A-F]{2})+~[0-9a-f]{64}$/;
const RESERVED_NAME = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)/;

/**
 * Throws unless the key can be one: a `TypeError` for what no store could keep, `key_too_long` for what this
 * one does not want.
 */
export function assertSessionKey(key: unknown, limits: Limits): asserts key is string {
  if (typeof key !== "string") throw new TypeError(`a session key must be a string, not ${nameOfType(key)}`);
  if (key === "") throw new TypeError("a session key must not be empty");
  if (!isWellFormed(key)) {
    throw new TypeError(`the session key ${JSON.stringify(key)} is not well-formed: it has half a character`);
  }
  // A UTF-16 unit is at most three bytes of UTF-8, so a short key needs no measuring.
  if (key.length * 3 <= limits.keyBytesMax) return;
  const actual = Buffer.byteLength(key);
  if (actual > limits.keyBytesMax) {
    throw new SessionStoreError(
      "key_too_long",
      `the session key "${key.slice(0, 64)}…" has ${actual} bytes; at most ${limits.keyBytesMax} are allowed`,
      { data: { limit: limits.keyBytesMax, actual, key } },
    );
  }
}

/** Whether the text has no lone surrogate, which UTF-8 cannot express. */
export function isWellFormed(text: string): boolean {
  // Node has it since 20; the compiler's ES2023 library has not heard of it.
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

/** Name of the folder that holds the session. The key must be one that {@link assertSessionKey} accepts. */
export function folderNameForKey(key: string): string {
  const name = encodeName(key);
  if (name.length <= NAME_BYTES_MAX) return name;
  const cut = name.slice(0, HASHED_PREFIX_BYTES_MAX);
  const tear = cut.lastIndexOf("%");
  const prefix = tear > HASHED_PREFIX_BYTES_MAX - 3 ? cut.slice(0, tear) : cut;
  return `${prefix}~${createHash("sha256").update(key, "utf8").digest("hex")}`;
}

/**
 * The key that a folder name stands for; undefined for a name that {@link folderNameForKey} never gives, for
 * names that start with a dot (those are not sessions), and for hashed names.
 */
export function keyFromFolderName(name: string): string | undefined {
  if (name.length > NAME_BYTES_MAX || !SHORT_NAME.test(name)) return undefined;
  let key: string;
  try {
    key = decodeURIComponent(name);
  } catch {
    return undefined; // not UTF-8
  }
  return folderNameForKey(key) === name ? key : undefined;
}

/** Whether the name is a cut and hashed one: only the file inside knows the key. */
export function isHashedFolderName(name: string): boolean {
  const prefixBytes = name.indexOf("~");
  return (
    prefixBytes > HASHED_PREFIX_BYTES_MAX - 3 &&
    prefixBytes <= HASHED_PREFIX_BYTES_MAX &&
    HASHED_NAME.test(name)
  );
}

/** A well-formed text as a file name, however long. */
function encodeName(text: string): string {
  return guardSpecialNames(PLAIN_NAME.test(text) ? text : percentEncode(text));
}

function percentEncode(key: string): string {
  let name = "";
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index);
    // Nearly all keys are ASCII; one character beyond it and the bytes have to be made after all.
    if (unit > 0x7f) return percentEncodeBytes(Buffer.from(key));
    name += ENCODED_BYTE[unit] ?? "";
  }
  return name;
}

function percentEncodeBytes(bytes: Uint8Array): string {
  let name = "";
  for (const byte of bytes) name += ENCODED_BYTE[byte] ?? "";
  return name;
}

function guardSpecialNames(encoded: string): string {
  let name = encoded;
  if (name.endsWith(".")) name = `${name.slice(0, -1)}%2E`;
  // After the trailing dot, so that "." is encoded once and not twice.
  if (name.startsWith(".") || RESERVED_NAME.test(name)) {
    name = escapeByte(name.charCodeAt(0)) + name.slice(1);
  }
  return name;
}

function escapeByte(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

function nameOfType(value: unknown): string {
  return value === null ? "null" : typeof value;
}
