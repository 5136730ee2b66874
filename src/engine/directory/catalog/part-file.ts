/**
 * A part of a catalog, read as little as possible of it: some lines from one place on, or the one line in which a key is.
 *
 * Each line that is used has a right checksum, the place that its order gives it, and comes from a file of the size that
 * the catalog says; who reads all of an order gets the number of rows that the catalog says. Anything else is
 * {@link DamagedPart}. A part that is gone is the same: whoever reads then looks whether the catalog is still there.
 */
import { errnoOf, SessionStoreError } from "../../../errors.js";
import type { FileSystem } from "../../../fs/file-system.js";
import { openRegularFile } from "../../../fs/regular-file.js";
import { lineValue, type LineValue } from "../../../format/checked-line.js";
import type { Layout } from "../../../format/layout.js";
import { isCount } from "../../../format/stored-value.js";
import { findIn, placeOf, type Layer } from "./layer.js";
import type { Part } from "./manifest.js";
import { changesOf, compareKeys, compareRows, isRow, newestOf, type Change, type NewestRow } from "./row.js";

/** A part cannot be read, or it is not what the catalog says. */
export class DamagedPart extends Error {
  constructor(
    readonly part: string,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`the part ${part} of the catalog cannot be used: ${reason}`, options);
  }
}

/** Reads bytes of a part's file. */
export type ReadBytes = (part: Part, offset: number, length: number) => Buffer;

/** A page is some lines: the first read is short. Who reads on reads more at a time. */
const READ_BYTES_MIN = 16 * 1024;
const READ_BYTES_MAX = 256 * 1024;
/** Lines by key that are kept, of each part: sessions that are made one after another often have neighbouring keys. */
const LINES_KEPT = 32;

/** Where which key is. */
interface Index {
  /** The first key of each line. */
  readonly keys: readonly { readonly key: string }[];
  /** Where the lines begin; and, behind the last, where that ends. */
  readonly offsets: readonly number[];
}

export class PartFile implements Layer {
  #index: Index | undefined;
  readonly #lines = new Map<number, readonly Change[]>();

  constructor(
    readonly part: Part,
    private readonly readBytes: ReadBytes,
  ) {}

  *byKey(from = ""): Generator<readonly Change[], void> {
    const { newest, rows, deleted } = this.part;
    if (from !== "") return yield* this.#byKeyFrom(from);
    let count = 0;
    let ofRows = 0;
    let last: Change | undefined;
    const lines = this.#linesWithin(0, newest);
    this.#assertHeader(lines.next().value ?? undefined);
    for (const line of lines) {
      const changes = this.#inOrder(changesOf(line), last, compareKeys);
      count += changes.length;
      ofRows += changes.filter(isRow).length;
      last = changes.at(-1);
      yield changes;
    }
    if (ofRows !== rows || count !== rows + deleted) throw this.#damaged("rows are missing");
  }

  *#byKeyFrom(from: string): Generator<readonly Change[], void> {
    const { keys, offsets } = this.#whereKeysAre();
    let last: Change | undefined;
    const place = Math.max(0, placeOf(keys, from) - (keys[placeOf(keys, from)]?.key === from ? 0 : 1));
    for (const line of this.#linesWithin(offsets[place] ?? 0, this.part.newest)) {
      const changes = this.#inOrder(changesOf(line), last, compareKeys);
      last = changes.at(-1);
      yield changes.slice(placeOf(changes, from));
    }
  }

  *newest(): Generator<readonly NewestRow[], void> {
    let count = 0;
    let last: NewestRow | undefined;
    for (const line of this.#linesWithin(this.part.newest, this.part.index)) {
      const rows = this.#inOrder(newestOf(line), last, compareRows);
      count += rows.length;
      last = rows.at(-1);
      yield rows;
    }
    if (count !== this.part.rows) throw this.#damaged("rows are missing");
  }

  find(key: string): Change | undefined {
    const { keys, offsets } = this.#whereKeysAre();
    let number = placeOf(keys, key);
    if (keys[number]?.key !== key) number--;
    const start = offsets[number];
    const end = offsets[number + 1];
    if (start === undefined || end === undefined) return undefined;
    const known = this.#lines.get(start);
    if (known !== undefined) return findIn(known, key);
    const changes = this.#inOrder(changesOf(this.#lineAt(start, end)), undefined, compareKeys);
    if (changes[0]?.key !== keys[number]?.key) throw this.#damaged("a line is not where it should be");
    for (const oldest of this.#lines.keys()) {
      if (this.#lines.size < LINES_KEPT) break;
      this.#lines.delete(oldest);
    }
    this.#lines.set(start, changes);
    return findIn(changes, key);
  }

  #whereKeysAre(): Index {
    return (this.#index ??= this.#readIndex());
  }

  #readIndex(): Index {
    const { name, index: start, newest, bytes } = this.part;
    const { index, end } = this.#lineAt(start, bytes);
    if (end !== name || !Array.isArray(index)) throw this.#damaged("its index is something else");
    const keys: { key: string }[] = [];
    const offsets: number[] = [];
    for (const entry of index as unknown[]) {
      const [key, offset] = Array.isArray(entry) ? (entry as unknown[]) : [];
      const follows = keys.length === 0 || (typeof key === "string" && key > (keys.at(-1)?.key ?? ""));
      if (typeof key !== "string" || !isCount(offset) || !follows || offset <= (offsets.at(-1) ?? 0))
        throw this.#damaged("its index is out of order");
      keys.push({ key });
      offsets.push(offset);
    }
    if ((offsets.at(-1) ?? 0) >= newest) throw this.#damaged("its index leads out of it");
    return { keys, offsets: [...offsets, newest] };
  }

  #assertHeader(header: LineValue | undefined): void {
    if (header?.["part"] !== this.part.name) throw this.#damaged("it is another part");
  }

  /** The only line between two offsets. */
  #lineAt(start: number, end: number): LineValue {
    const bytes = this.#read(start, end - start);
    if (bytes.indexOf(0x0a) !== bytes.length - 1) throw this.#damaged("a line ends elsewhere");
    return this.#valueOf(bytes.subarray(0, -1));
  }

  *#linesWithin(start: number, end: number): Generator<LineValue, void> {
    let rest: Buffer = Buffer.alloc(0);
    let size = READ_BYTES_MIN;
    for (let at = start; at < end; at += size, size = Math.min(4 * size, READ_BYTES_MAX)) {
      const read = this.#read(at, Math.min(size, end - at));
      const bytes = rest.length === 0 ? read : Buffer.concat([rest, read]);
      let begin = 0;
      for (let newline = bytes.indexOf(0x0a); newline >= 0; newline = bytes.indexOf(0x0a, begin)) {
        yield this.#valueOf(bytes.subarray(begin, newline));
        begin = newline + 1;
      }
      rest = bytes.subarray(begin);
    }
    if (rest.length > 0) throw this.#damaged("a line does not end");
  }

  #read(offset: number, length: number): Buffer {
    const bytes = this.readBytes(this.part, offset, length);
    if (bytes.length !== length) throw this.#damaged("it is too short");
    return bytes;
  }

  #valueOf(line: Buffer): LineValue {
    const value = lineValue(line);
    if (value === undefined) throw this.#damaged("a line has a wrong checksum");
    return value;
  }

  #inOrder<T>(
    items: readonly T[] | undefined,
    before: T | undefined,
    compare: (a: T, b: T) => number,
  ): readonly T[] {
    if (items === undefined) throw this.#damaged("a line is of another kind");
    let last = before;
    for (const item of items) {
      if (last !== undefined && compare(last, item) >= 0) throw this.#damaged("rows are out of order");
      last = item;
    }
    return items;
  }

  #damaged(reason: string): DamagedPart {
    return new DamagedPart(this.part.name, reason);
  }
}

/** The parts that a process reads, with what it remembers of them. */
export class PartFiles {
  /** Names of those that were found damaged, so that the next checkpoint does without them. */
  readonly damaged = new Set<string>();
  /** What was read of parts since the process began. */
  bytesRead = 0;
  #known: readonly PartFile[] = [];

  constructor(
    private readonly fs: FileSystem,
    private readonly layout: Layout,
  ) {}

  /** What is remembered of all other parts is let go of. */
  layersOf(parts: readonly Part[]): readonly PartFile[] {
    const known = new Map(this.#known.map((file) => [file.part.name, file]));
    this.#known = parts.map((part) => {
      const file = known.get(part.name);
      const same = file !== undefined && file.part.bytes === part.bytes && file.part.index === part.index;
      return same ? file : new PartFile(part, (_, offset, length) => this.#read(part, offset, length));
    });
    return this.#known;
  }

  /** @throws {@link DamagedPart} if one is known to be damaged, or its file is not there or has another size. */
  assertThere(parts: readonly Part[]): void {
    for (const { name, bytes } of parts) {
      if (this.damaged.has(name)) throw new DamagedPart(name, "it was found damaged before");
      if (this.#sizeOf(name) !== bytes) throw new DamagedPart(name, "it is missing, or has another size");
    }
  }

  #sizeOf(name: string): number | undefined {
    try {
      const { kind, size } = this.fs.lstat(this.layout.part(name));
      return kind === "file" ? size : undefined;
    } catch {
      return undefined;
    }
  }

  #read({ name, bytes }: Part, offset: number, length: number): Buffer {
    const { fs, layout } = this;
    try {
      const { fd, status } = openRegularFile(fs, layout.part(name), "read", { bytesMax: bytes });
      try {
        if (status.size !== bytes) throw new DamagedPart(name, "it has another size");
        const buffer = Buffer.allocUnsafe(length);
        const count = fs.read(fd, buffer, 0, length, offset);
        this.bytesRead += count;
        return buffer.subarray(0, count);
      } finally {
        fs.close(fd);
      }
    } catch (error) {
      // Gone, unreadable or unsafe: the files of the sessions have it all.
      if (!(error instanceof SessionStoreError) && errnoOf(error) === undefined) throw error;
      throw new DamagedPart(name, String(error), { cause: error });
    }
  }
}
