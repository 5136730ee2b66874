/**
 * Names of transcripts, and the ids that callers give to items and operations.
 *
 * A name becomes part of a file name as a key does (session-key.ts): one that is long as such is cut and hashed, and then only the
 * file's first line tells it whole.
 */
import { SessionStoreError } from "../errors.js";
import { ID_BYTES_MAX, TRANSCRIPT_NAME_MAX } from "./limits.js";
import { isWellFormed } from "./session-key.js";

/** @throws `TypeError` for what no store could keep, `transcript_name_too_long`. */
export function assertTranscriptName(name: unknown, key: string): asserts name is string {
  assertText(name, "the name of a transcript");
  if (name.length <= TRANSCRIPT_NAME_MAX) return;
  throw new SessionStoreError(
    "transcript_name_too_long",
    `the transcript name "${name.slice(0, 64)}…" of session ${JSON.stringify(key)} has ${name.length} characters; at most ` +
      `${TRANSCRIPT_NAME_MAX} are allowed: give it a shorter one, such as a hash of it`,
    { data: { key, transcript: name, limit: TRANSCRIPT_NAME_MAX, actual: name.length } },
  );
}

/**
 * @param what As in "<what> must be a string".
 * @throws `TypeError` for what no store could keep, `id_too_long`.
 */
export function assertId(id: unknown, what: string): asserts id is string {
  assertText(id, what);
  if (id.length * 3 <= ID_BYTES_MAX) return;
  const actual = Buffer.byteLength(id);
  if (actual <= ID_BYTES_MAX) return;
  throw new SessionStoreError(
    "id_too_long",
    `${what} has ${actual} bytes; at most ${ID_BYTES_MAX} are allowed: give it a shorter one, such as a hash of it`,
    { data: { id, limit: ID_BYTES_MAX, actual } },
  );
}

function assertText(text: unknown, what: string): asserts text is string {
  if (typeof text !== "string") {
    throw new TypeError(`${what} must be a string, not ${text === null ? "null" : typeof text}`);
  }
  if (text === "") throw new TypeError(`${what} must not be empty`);
  if (!isWellFormed(text)) {
    throw new TypeError(
      `${what} is ${JSON.stringify(text)}, which is not well-formed: it has half a character`,
    );
  }
}
