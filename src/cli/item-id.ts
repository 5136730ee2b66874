/**
 * Ids of items that come from files: what makes appending or importing them again harmless.
 *
 * A line's id is that of a field that gateways use. A line without one, and one whose id an earlier line of the file has with other content, as
 * the parts of one message may, gets an id of its number and its content: nothing of a file is lost for an id that is not one.
 */
import { createHash } from "node:crypto";
import { ID_BYTES_MAX } from "../format/limits.js";
import { isWellFormed } from "../format/session-key.js";

const ID_FIELDS = ["id", "uuid", "messageId"] as const;
/** Some 50 bytes each. Behind them an id that repeats is taken for the same item. */
const REMEMBERED_MAX = 4_000_000;
const HASH_CHARACTERS = 32;

/** The id that a field's value is; undefined for what cannot be one. */
export function idOf(value: unknown): string | undefined {
  const text = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text !== "string" || text === "" || !isWellFormed(text)) return undefined;
  return Buffer.byteLength(text) <= ID_BYTES_MAX ? text : undefined;
}

/** Gives the lines of one file their ids, in order. The same file gets the same ones again, and so does a longer one. */
export class LineIds {
  /** Hash of an id to the hash of the content that had it first. */
  readonly #seen = new Map<number, number>();

  of(item: unknown, line: number, bytes: Buffer): string {
    const id = fieldId(item);
    const digest = createHash("sha256").update(bytes).digest();
    const own = `line-${line}-${digest.toString("hex").slice(0, HASH_CHARACTERS)}`;
    if (id === undefined) return own;
    const place = shortHash(createHash("sha256").update(id).digest());
    const content = shortHash(digest);
    const before = this.#seen.get(place);
    if (before === undefined && this.#seen.size < REMEMBERED_MAX) this.#seen.set(place, content);
    return before === undefined || before === content ? id : own;
  }
}

function fieldId(item: unknown): string | undefined {
  if (typeof item !== "object" || item === null || Array.isArray(item)) return undefined;
  for (const name of ID_FIELDS) {
    if (!Object.hasOwn(item, name)) continue;
    const id = idOf((item as Record<string, unknown>)[name]);
    if (id !== undefined) return id;
  }
  return undefined;
}

function shortHash(digest: Buffer): number {
  return digest.readUIntBE(0, 6);
}
