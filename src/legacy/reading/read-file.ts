/**
 * One reading of a `sessions.json`: entry after entry in bounded memory, and the SHA-256 of all of it.
 *
 * The file is read through one descriptor in pieces of half a megabyte; what is kept is the entry at hand. A file that
 * is replaced by a rename meanwhile is still read as it was; one that is written in place gives another hash, or
 * cannot be parsed, and the caller reads again. An entry that is longer than any store could take is scanned without
 * being kept, and refused.
 *
 * Reads only, so a crash leaves nothing behind.
 */
import { createHash } from "node:crypto";
import { isUtf8 } from "node:buffer";
import { SessionStoreError } from "../../errors.js";
import { openRegularFile } from "../../fs/regular-file.js";
import { jsonFault } from "../../format/json-fault.js";
import type { LegacyHost } from "../base/host.js";
import { JsonScanner, type ScanFault } from "./json-scanner.js";
import type { OddNumber } from "./odd-numbers.js";
import {
  SHARED_BYTES_MIN,
  SharedValues,
  type BigMember,
  type Findings,
  type FirstSight,
} from "./shared-values.js";

export interface LegacyEntry {
  /** 0 for the first entry of the reading; the same bytes give the same numbers. */
  readonly ordinal: number;
  /** The key as it stands there. */
  readonly key: string;
  /** Parsed; undefined for an entry that is too long or too deep to be parsed. */
  readonly value: unknown;
  /** How deep it nests, an object of scalars being 1. */
  readonly levels: number;
  /** Length of its text. */
  readonly bytes: number;
  /** How much of it was not known from other entries. */
  readonly newBytes: number;
  /** Big values that were not seen before. */
  readonly firsts: readonly FirstSight[];
  /** Its numbers that are not kept as they stand there. */
  readonly odd: readonly OddNumber[];
}

/** An entry of which there is nothing to say but its value. */
export function plainEntry(entry: Omit<LegacyEntry, "newBytes" | "firsts" | "odd">): LegacyEntry {
  return { ...entry, newBytes: entry.bytes, firsts: [], odd: [] };
}

export interface ReadingOptions {
  /** Called for every entry, in order. */
  readonly onEntry: (entry: LegacyEntry) => void;
  /** Called between two pieces: the place to wait for what the entries caused. */
  readonly afterPiece?: ((doneBytes: number, totalBytes: number) => Promise<void> | void) | undefined;
  /** Entries that nest deeper are not parsed. */
  readonly levelsMax: number;
  readonly shared?: SharedValues | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Reading {
  readonly bytes: number;
  /** In hex. */
  readonly sha256: string;
  readonly entries: number;
  /** Some text was not UTF-8; it was read with U+FFFD in place of it, as old gateways do. */
  readonly notUtf8: boolean;
}

const PIECE_BYTES = 512 * 1024;
/** Four times what a store takes, for spaces and escapes: a longer entry is not kept. */
const ENTRY_BYTES_MAX = 64 * 1024 * 1024;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * @throws `legacy_invalid` for what is no JSON object, with `data.offset` and `data.reason`; `file_unsafe` for a
 *   symlink, a directory or a device; the system's ENOENT.
 */
export async function readLegacyFile(
  host: LegacyHost,
  path: string,
  options: ReadingOptions,
): Promise<Reading> {
  const { fs } = host;
  const { fd, status } = openRegularFile(fs, path, "read", { bytesMax: Infinity });
  try {
    const reader = new Reader(path, options);
    let position = 0;
    for (;;) {
      options.signal?.throwIfAborted();
      const { buffer, offset } = reader.room(PIECE_BYTES);
      const count = await fs.later.read(fd, buffer, offset, PIECE_BYTES, position);
      if (count === 0) break;
      reader.take(count);
      position += count;
      await options.afterPiece?.(position, Math.max(status.size, position));
    }
    return reader.finish();
  } finally {
    fs.close(fd);
  }
}

/** Size and SHA-256 of a file, whatever is in it. */
export async function hashFile(
  { fs }: LegacyHost,
  path: string,
  signal?: AbortSignal,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const { fd } = openRegularFile(fs, path, "read", { bytesMax: Infinity });
  try {
    const hash = createHash("sha256");
    const buffer = Buffer.allocUnsafe(PIECE_BYTES);
    for (let bytes = 0; ;) {
      signal?.throwIfAborted();
      const count = await fs.later.read(fd, buffer, 0, PIECE_BYTES, bytes);
      if (count === 0) return { bytes, sha256: hash.digest("hex") };
      hash.update(buffer.subarray(0, count));
      bytes += count;
    }
  } finally {
    fs.close(fd);
  }
}

class Reader {
  readonly #hash = createHash("sha256");
  readonly #scanner: JsonScanner;
  readonly #shared: SharedValues;
  #window = Buffer.allocUnsafe(4 * PIECE_BYTES);
  /** Offset in the file of the window's first byte. */
  #base = 0;
  #filled = 0;
  #entries = 0;
  #notUtf8 = false;
  #big: BigMember[] = [];
  /** Name of the entry that is too long to be kept. */
  #dropped: string | undefined;

  constructor(
    private readonly path: string,
    private readonly options: ReadingOptions,
  ) {
    this.#shared = options.shared ?? new SharedValues();
    const listener = {
      member: (
        nameStart: number,
        nameEnd: number,
        valueStart: number,
        valueEnd: number,
        levels: number,
      ): void => this.#entry(nameStart, nameEnd, valueStart, valueEnd, levels),
      field: (nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): void =>
        void this.#big.push({ nameStart, nameEnd, valueStart, valueEnd }),
    };
    this.#scanner = new JsonScanner(listener, SHARED_BYTES_MIN);
  }

  /** Where the next bytes go. */
  room(bytes: number): { buffer: Buffer; offset: number } {
    this.#forget();
    if (this.#window.length - this.#filled < bytes) {
      const larger = Buffer.allocUnsafe(Math.max(this.#window.length * 2, this.#filled + bytes));
      this.#window.copy(larger, 0, 0, this.#filled);
      this.#window = larger;
    }
    return { buffer: this.#window, offset: this.#filled };
  }

  take(count: number): void {
    let from = this.#filled;
    this.#hash.update(this.#window.subarray(from, from + count));
    this.#filled += count;
    const known = this.#window.subarray(0, this.#filled);
    if (this.#base === 0 && from === 0 && known.subarray(0, BOM.length).equals(BOM)) from = BOM.length;
    if (!this.#scanner.scan(known, from, this.#base)) throw this.#invalid(this.#scanner.fault!);
  }

  finish(): Reading {
    const bytes = this.#base + this.#filled;
    if (!this.#scanner.end(bytes)) throw this.#invalid(this.#scanner.fault!);
    return { bytes, sha256: this.#hash.digest("hex"), entries: this.#entries, notUtf8: this.#notUtf8 };
  }

  #forget(): void {
    if (this.#filled + this.#base - this.#scanner.retained > ENTRY_BYTES_MAX) {
      const open = this.#scanner.openMember;
      this.#dropped ??=
        open === undefined ? '"(a key of more than 64 MiB)"' : this.#text(open.nameStart, open.nameEnd);
      this.#base += this.#filled;
      this.#filled = 0;
      return;
    }
    const keep = this.#scanner.retained - this.#base;
    if (keep <= 0) return;
    this.#window.copyWithin(0, keep, this.#filled);
    this.#base += keep;
    this.#filled -= keep;
  }

  #entry(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number, levels: number): void {
    const big = this.#big;
    this.#big = [];
    const ordinal = this.#entries++;
    const bytes = valueEnd - valueStart;
    if (this.#dropped !== undefined) {
      const key = this.#name(this.#dropped, nameStart);
      this.#dropped = undefined;
      this.options.onEntry(plainEntry({ ordinal, key, value: undefined, levels, bytes }));
      return;
    }
    const key = this.#name(this.#text(nameStart, nameEnd), nameStart);
    if (levels > this.options.levelsMax) {
      this.options.onEntry(plainEntry({ ordinal, key, value: undefined, levels, bytes }));
      return;
    }
    const found: Findings = { firsts: [], odd: [] };
    const text = this.#window.subarray(valueStart - this.#base, valueEnd - this.#base);
    if (!this.#notUtf8 && !isUtf8(text)) this.#notUtf8 = true;
    const before = this.#shared.parsedBytes;
    let value: unknown;
    try {
      value = this.#shared.parse(text, relativeTo(big, valueStart), found);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw this.#notJson(text, valueStart, error);
    }
    const newBytes = this.#shared.parsedBytes - before;
    this.options.onEntry({ ordinal, key, value, levels, bytes, newBytes, ...found });
  }

  #text(start: number, end: number): string {
    return this.#window.toString("utf8", start - this.#base, end - this.#base);
  }

  #name(quoted: string, offset: number): string {
    try {
      return JSON.parse(quoted) as string;
    } catch {
      throw this.#invalid({ reason: "syntax", offset });
    }
  }

  /** The scanner found the bounds of a value, but what is between them is not one. */
  #notJson(bytes: Buffer, start: number, cause: SyntaxError): SessionStoreError {
    const fault = jsonFault(bytes.toString("latin1")) ?? 0; // one character a byte, UTF-8 or not
    return this.#invalid({ reason: "syntax", offset: start + fault }, cause);
  }

  #invalid({ reason, offset }: ScanFault, cause?: unknown): SessionStoreError {
    return new SessionStoreError(
      "legacy_invalid",
      `${this.path} ${FAULTS[reason]} (byte ${offset}): mend the file or put back a backup.`,
      { data: { path: this.path, reason, offset }, cause },
    );
  }
}

const FAULTS: Readonly<Record<ScanFault["reason"], string>> = {
  empty: "is empty",
  truncated: "ends in the middle, as after a crash or on a full disk",
  array: "holds an array, and not an object with a session under each key",
  not_an_object: "does not begin with an object",
  syntax: "is not JSON",
  trailing: "has something behind its end",
};

function relativeTo(members: readonly BigMember[], start: number): BigMember[] {
  return members.map(({ nameStart, nameEnd, valueStart, valueEnd }) => ({
    nameStart: nameStart - start,
    nameEnd: nameEnd - start,
    valueStart: valueStart - start,
    valueEnd: valueEnd - start,
  }));
}
