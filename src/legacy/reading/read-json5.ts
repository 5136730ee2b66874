/**
 * A legacy file that somebody edited by hand: JSON5, read in one piece.
 *
 * Old gateways read it, so it is a store like any other. The parser is loaded only when JSON has failed, and only for
 * files of a bounded size, because it can neither be fed in pieces nor interrupted. Repeated keys are the one thing that
 * cannot be seen here: the last one counts, as for the old gateways.
 */
import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { SessionStoreError } from "../../errors.js";
import { readRegularFile } from "../../fs/regular-file.js";
import type { LegacyHost } from "../base/host.js";
import { escapeSeparators, type EscapedText } from "./json5-separators.js";
import { levelsOf } from "./nesting.js";
import { withoutNonFinite } from "./odd-numbers.js";
import { plainEntry, type Reading, type ReadingOptions } from "./read-file.js";

/** At about 20 MB/s, longer files would stop the event loop for too long. */
export const JSON5_BYTES_MAX = 32 * 1024 * 1024;

/**
 * @param notJson Why the file is not JSON; its message and offset are those that people get.
 * @throws `notJson`, if it is not JSON5 either.
 */
export async function readJson5File(
  host: LegacyHost,
  path: string,
  options: ReadingOptions & { readonly json5BytesMax: number },
  notJson: SessionStoreError,
): Promise<Reading> {
  // A file that JSON itself understands up to its end is not JSON5, but damaged.
  if (notJson.data.reason === "array" || notJson.data.reason === "empty") throw notJson;
  const bytes = readRegularFile(host.fs, path, { bytesMax: Infinity });
  if (bytes.length > options.json5BytesMax) {
    throw new SessionStoreError(
      "legacy_invalid",
      `${notJson.message} It was not tried as JSON5, for it has ${bytes.length} bytes and at most ` +
        `${options.json5BytesMax} are parsed in one piece (json5BytesMax).`,
      { data: { ...notJson.data, limit: options.json5BytesMax, actual: bytes.length }, cause: notJson },
    );
  }
  const { default: json5 } = await import("json5");
  const escaped = escapeSeparators(bytes.toString());
  let value: unknown;
  try {
    value = json5.parse(escaped.text);
  } catch (error) {
    throw laterFault(notJson, bytes, escaped, error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw notJson;
  let ordinal = 0;
  for (const [key, entry] of Object.entries(value)) {
    const levels = levelsOf(entry, options.levelsMax);
    const known = levels > options.levelsMax ? undefined : (entry as unknown);
    const odd = withoutNonFinite(known);
    options.onEntry({ ...plainEntry({ ordinal: ordinal++, key, value: known, levels, bytes: 0 }), odd });
    if (ordinal % 64 === 0) await options.afterPiece?.(0, bytes.length);
  }
  await options.afterPiece?.(bytes.length, bytes.length);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { bytes: bytes.length, sha256, entries: ordinal, notUtf8: !isUtf8(bytes) };
}

/** The parser that came further knows better where the damage is. */
function laterFault(
  notJson: SessionStoreError,
  bytes: Buffer,
  { text, originalIndex }: EscapedText,
  error: unknown,
): unknown {
  const { lineNumber, columnNumber } = error as { lineNumber?: number; columnNumber?: number };
  if (lineNumber === undefined || columnNumber === undefined) return notJson;
  if (!isUtf8(bytes)) return notJson; // where a character of the text stands in the file is not known
  let lineStart = 0;
  for (let line = 1; line < lineNumber; line++) lineStart = text.indexOf("\n", lineStart) + 1;
  const before = bytes.toString().slice(0, originalIndex(lineStart + columnNumber - 1));
  const offset = Buffer.byteLength(before);
  if (offset <= Number(notJson.data.offset)) return notJson;
  return new SessionStoreError(
    "legacy_invalid",
    `${String(notJson.data.path)} is neither JSON nor JSON5 (byte ${offset}): mend the file or put back a backup.`,
    { data: { ...notJson.data, offset }, cause: error },
  );
}
