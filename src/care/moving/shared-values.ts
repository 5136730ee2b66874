/**
 * Big values of entries are written once: hundreds of sessions have the same prompt of 17 KB.
 *
 * A value of {@link SHARED_BYTES_MIN} bytes of JSON or more gets a line of its own in front of the first session that has it, and an entry
 * has `{"$shared": id}` in its place, also inside of another such value. So that no entry can be mistaken for one, every name that
 * begins with `$` is written with one `$` more. A reader keeps only the latest values, by bytes: a writer writes a value again when so
 * many others came since that a reader may have let it go.
 */
import { createHash } from "node:crypto";

/** As in a store. */
const SHARED_BYTES_MIN = 4096;
/** Larger ones stand in their entry, or a few of them would fill a reader's memory. */
const SHARED_BYTES_MAX = 1024 * 1024;
/** What a writer counts on that a reader still has. */
const WRITER_BYTES = 8 * 1024 * 1024;
/** What a reader has: twice that, because others may count in another way. */
const READER_BYTES = 16 * 1024 * 1024;
/** What an entry may come to once all references are replaced; stores refuse less. Nested references double at every level. */
const EXPANDED_BYTES_MAX = 64 * 1024 * 1024;
/** More than any entry may nest, so that a line of brackets does not end the stack. */
const DEPTH_MAX = 300;

const MARK = "$";
const REFERENCE = "$shared";

/** The latest values by bytes; the oldest go first. */
class Window<V> {
  readonly #values = new Map<string, { readonly value: V; readonly bytes: number }>();
  #bytes = 0;

  constructor(private readonly bytesMax: number) {}

  get(id: string): V | undefined {
    return this.#values.get(id)?.value;
  }

  /** @returns Those that went. */
  add(id: string, value: V, bytes: number): V[] {
    this.#bytes += bytes - (this.#values.get(id)?.bytes ?? 0);
    this.#values.delete(id);
    this.#values.set(id, { value, bytes });
    const gone: V[] = [];
    for (const [oldest, known] of this.#values) {
      if (this.#bytes <= this.bytesMax || this.#values.size === 1) break;
      this.#values.delete(oldest);
      this.#bytes -= known.bytes;
      gone.push(known.value);
    }
    return gone;
  }
}

/** Makes the JSON of entries, and tells of each value that needs a line in front of it. */
export class SharedValueWriter {
  readonly #window = new Window<{ readonly text: string | undefined }>(WRITER_BYTES);
  /** Texts that were seen: a store hands out the same one for every session that has it. */
  readonly #texts = new Map<string, string>();
  values = 0;

  /** @param writeValue Writes a line with this id, and this JSON as its value. */
  constructor(private readonly writeValue: (id: string, json: string) => void) {}

  /** JSON of an entry, with references. */
  entryJson(entry: object): string {
    return this.#fieldsJson(entry);
  }

  #json(value: unknown): string {
    if (typeof value === "string") return this.#stringJson(value);
    if (typeof value !== "object" || value === null) return JSON.stringify(value);
    const json = Array.isArray(value)
      ? `[${value.map((item) => this.#json(item)).join(",")}]`
      : this.#fieldsJson(value);
    return isShared(json) ? this.#share(json, undefined) : json;
  }

  #fieldsJson(fields: object): string {
    const parts: string[] = [];
    for (const [name, value] of Object.entries(fields)) {
      const written = name.startsWith(MARK) ? MARK + name : name;
      parts.push(`${JSON.stringify(written)}:${this.#json(value)}`);
    }
    return `{${parts.join(",")}}`;
  }

  #stringJson(text: string): string {
    if (text.length * 6 < SHARED_BYTES_MIN) return JSON.stringify(text);
    const known = this.#texts.get(text);
    if (known !== undefined) return referenceTo(known);
    const json = JSON.stringify(text);
    return isShared(json) ? this.#share(json, text) : json;
  }

  #share(json: string, text: string | undefined): string {
    const id = createHash("sha256").update(json).digest("hex");
    if (this.#window.get(id) === undefined) {
      this.writeValue(id, json);
      this.values += 1;
      if (text !== undefined) this.#texts.set(text, id);
      for (const gone of this.#window.add(id, { text }, Buffer.byteLength(json)))
        if (gone.text !== undefined) this.#texts.delete(gone.text);
    }
    return referenceTo(id);
  }
}

/** Puts values in the place of references. */
export class SharedValueReader {
  readonly #window = new Window<{ readonly value: unknown; readonly bytes: number }>(READER_BYTES);

  /**
   * Takes a value that a line has.
   * @param bytes Of the line.
   * @throws {@link SharedValueFault}
   */
  add(id: string, value: unknown, bytes: number): void {
    const expansion = new Expansion(this.#window, bytes);
    this.#window.add(id, { value: expansion.of(value, 0), bytes: expansion.bytes }, bytes);
  }

  /**
   * An entry as it was exported.
   * @throws {@link SharedValueFault}
   */
  entry(written: object, bytes: number): object {
    return new Expansion(this.#window, bytes).of(written, 0) as object;
  }
}

/** What is wrong with a reference, as a clause. */
export class SharedValueFault extends Error {
  override readonly name = "SharedValueFault";
}

class Expansion {
  constructor(
    private readonly window: Window<{ readonly value: unknown; readonly bytes: number }>,
    public bytes: number,
  ) {}

  of(written: unknown, depth: number): unknown {
    if (typeof written !== "object" || written === null) return written;
    if (depth > DEPTH_MAX) throw new SharedValueFault(`is nested deeper than ${DEPTH_MAX} levels`);
    if (Array.isArray(written)) return written.map((item) => this.of(item, depth + 1));
    const names = Object.keys(written);
    const fields = written as Readonly<Record<string, unknown>>;
    if (names.length === 1 && names[0] === REFERENCE) return this.#value(fields[REFERENCE]);
    // fromEntries defines fields instead of assigning them: "__proto__" is a field like any other.
    return Object.fromEntries(names.map((name) => [unescaped(name), this.of(fields[name], depth + 1)]));
  }

  #value(id: unknown): unknown {
    const found = typeof id === "string" ? this.window.get(id) : undefined;
    if (found === undefined)
      throw new SharedValueFault(`refers to the value ${JSON.stringify(id)}, which is not in front of it`);
    this.bytes += found.bytes;
    if (this.bytes > EXPANDED_BYTES_MAX)
      throw new SharedValueFault(`comes to more than ${EXPANDED_BYTES_MAX} bytes with all its values`);
    return found.value;
  }
}

function unescaped(name: string): string {
  if (!name.startsWith(MARK)) return name;
  if (name.startsWith(MARK + MARK)) return name.slice(1);
  throw new SharedValueFault(
    `has the name ${JSON.stringify(name)}, and names that begin with $ are written with one $ more`,
  );
}

function isShared(json: string): boolean {
  // A UTF-16 unit is at least one byte.
  return json.length >= SHARED_BYTES_MIN && json.length <= SHARED_BYTES_MAX;
}

function referenceTo(id: string): string {
  return `{"${REFERENCE}":"${id}"}`;
}
