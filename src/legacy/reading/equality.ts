/**
 * Whether two entries are the same, field by field and in the same order, and a short name for what an entry is.
 *
 * Big values are shared by many sessions, as objects on both sides; each pair is compared once, and each is hashed once.
 * Neither function recurses deeper than entries may nest.
 */
import { createHash } from "node:crypto";

/** JSON of a field from this length on is hashed by itself, so that the hash can be remembered with the object. */
const HASHED_CHARS_MIN = 1024;
const DIGEST_CHARS = 22;

export class EntryComparison {
  /** Objects that were found equal, by the left one. */
  readonly #equal = new WeakMap<object, object>();
  readonly #hashes = new WeakMap<object, string>();

  /** Path of the first difference, as in `skillsSnapshot.prompt`; undefined when there is none. */
  difference(left: unknown, right: unknown, path = ""): string | undefined {
    if (left === right) return undefined;
    if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) {
      return left === 0 && right === 0 ? undefined : path || "(entry)";
    }
    if (this.#equal.get(left) === right) return undefined;
    const isArray = Array.isArray(left);
    if (isArray !== Array.isArray(right)) return path || "(entry)";
    const names = Object.keys(left);
    const others = Object.keys(right);
    if (names.length !== others.length) return path || "(entry)";
    for (let index = 0; index < names.length; index++) {
      const name = names[index]!;
      if (others[index] !== name) return `${path}${path && "."}${name}`;
      const a = (left as Record<string, unknown>)[name];
      const b = (right as Record<string, unknown>)[name];
      if (a === b) continue;
      const found = this.difference(a, b, `${path}${path && "."}${name}`);
      if (found !== undefined) return found;
    }
    if (names.length > 0) this.#equal.set(left, right);
    return undefined;
  }

  /** The same for two entries exactly when these have the same JSON. */
  digest(entry: object): string {
    const hash = createHash("sha256");
    for (const [name, value] of Object.entries(entry))
      hash.update(`${JSON.stringify(name)}:${this.#part(value)},`);
    return hash.digest("base64url").slice(0, DIGEST_CHARS);
  }

  #part(value: unknown): string {
    const known = typeof value === "object" && value !== null ? this.#hashes.get(value) : undefined;
    if (known !== undefined) return known;
    const json = JSON.stringify(value);
    if (json.length < HASHED_CHARS_MIN) return json;
    const hash = `#${createHash("sha256").update(json).digest("base64url")}`;
    if (typeof value === "object" && value !== null) this.#hashes.set(value, hash);
    return hash;
  }
}
