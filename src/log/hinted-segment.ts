/**
 * A segment that another process has read, as a hint says: how far, and what its lines add up to.
 *
 *   H1  A hint is believed of bytes that are there: the segment must begin with the very bytes that were read, by their number and
 *       checksum. Bytes of a segment never change, so a hint is right or noticeably not; then the segment is read line by line.
 *       Nor is one made of bytes that were damaged after its process had read them: what it says is what anybody reads there.
 */
import type { FileSystem } from "../fs/file-system.js";
import { CRC_DIGITS, crc32Number, readHex } from "../format/crc32.js";
import { parseLogLines } from "../format/log-line.js";
import type { Segment } from "./segment.js";
import type { SegmentLedger } from "./segment-ledger.js";

/** Stays in the processor's cache between reading and checking. */
const BLOCK_BYTES = 256 * 1024;

export interface HintedSegment {
  readonly number: number;
  /** Bytes that were read. */
  readonly position: number;
  /** Where the last line of them begins. */
  readonly lastLineAt: number;
  /** CRC-32 of those bytes. */
  readonly checksum: number;
  readonly ledger: SegmentLedger;
}

/**
 * Whether a segment begins with the bytes that a hint is about; if so, it is taken for read up to there. Yields between blocks.
 * @param space Overwritten.
 */
export function* beginsAsHinted(
  fs: FileSystem,
  segment: Segment,
  { position, lastLineAt, checksum }: HintedSegment,
  space: Buffer,
): Generator<void, boolean> {
  if ((yield* checksumOf(fs, segment.fd, position, space)) !== checksum) return false;
  segment.position = position;
  segment.lastLineAt = lastLineAt;
  return true;
}

/** CRC-32 of a segment's first bytes. */
export interface Checksum {
  /** How many bytes. */
  readonly end: number;
  readonly checksum: number;
}

/**
 * CRC-32 of a file's first bytes. Yields between blocks.
 * @param space Overwritten.
 * @returns Undefined if there are not so many.
 */
function* checksumOf(
  fs: FileSystem,
  fd: number,
  end: number,
  space: Buffer,
): Generator<void, number | undefined> {
  let checksum = 0;
  for (let at = 0; at < end;) {
    const count = fs.read(fd, space, 0, Math.min(space.length, BLOCK_BYTES, end - at), at);
    if (count === 0) return undefined;
    checksum = crc32Number(space.subarray(0, count), checksum);
    at += count;
    yield;
  }
  return checksum;
}

/**
 * The same of a segment's first lines, whose own checksums are compared on the way. Yields between blocks.
 * @param end Where a line ends.
 * @param known Of how many bytes it is known already: of whole lines too.
 * @returns Undefined if they are not all there, or cannot be read.
 */
export function* checksumOfLines(
  fs: FileSystem,
  fd: number,
  end: number,
  space: Buffer,
  known: Checksum = { end: 0, checksum: 0 },
): Generator<void, number | undefined> {
  let { end: at, checksum } = known;
  const line = new LineCheck();
  let lineAt = at;
  while (at < end) {
    const count = fs.read(fd, space, 0, Math.min(space.length, BLOCK_BYTES, end - at), at);
    if (count === 0) return undefined;
    const block = space.subarray(0, count);
    checksum = crc32Number(block, checksum);
    for (let start = 0; start < count;) {
      const newline = block.indexOf(NEWLINE, start);
      line.add(block.subarray(start, newline < 0 ? count : newline));
      if (newline < 0) break;
      if (!line.isRight && !isReadable(fs, fd, lineAt, at + newline)) return undefined;
      line.begin();
      start = newline + 1;
      lineAt = at + start;
    }
    at += count;
    yield;
  }
  return checksum;
}

const NEWLINE = 0x0a;

/** Compares the checksum that a line begins with, piece by piece. */
class LineCheck {
  readonly #digits = Buffer.alloc(CRC_DIGITS + 1);
  #bytes = 0;
  #checksum = 0;

  begin(): void {
    this.#bytes = 0;
    this.#checksum = 0;
  }

  add(piece: Buffer): void {
    const missing = Math.min(piece.length, Math.max(0, this.#digits.length - this.#bytes));
    if (missing > 0) piece.copy(this.#digits, this.#bytes, 0, missing);
    this.#bytes += piece.length;
    if (piece.length > missing) this.#checksum = crc32Number(piece.subarray(missing), this.#checksum);
  }

  get isRight(): boolean {
    return this.#bytes > this.#digits.length && readHex(this.#digits, 0) === this.#checksum;
  }
}

/** Of lines to which torn writes are glued: whether each can be read. */
function isReadable(fs: FileSystem, fd: number, start: number, end: number): boolean {
  const bytes = Buffer.allocUnsafe(end - start);
  for (let at = 0; at < bytes.length;) {
    const count = fs.read(fd, bytes, at, bytes.length - at, start + at);
    if (count === 0) return false;
    at += count;
  }
  return parseLogLines(bytes, 0, bytes.length).every(({ line }) => line.kind !== "unreadable");
}
