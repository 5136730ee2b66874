/**
 * A segment that another process has read, as a hint says: how far, and what its lines add up to.
 *
 *   H1  A hint is believed of bytes that are there: the segment must begin with the very bytes that were read, by their number and
 *       checksum. Bytes of a segment never change, so a hint is right or noticeably not; then the segment is read line by line.
 */
import type { FileSystem } from "../fs/file-system.js";
import { crc32Number } from "../format/crc32.js";
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

/**
 * CRC-32 of a file's first bytes. Yields between blocks.
 * @param space Overwritten.
 * @param known Of how many bytes it is known, and which it is.
 * @returns Undefined if there are not so many.
 */
export function* checksumOf(
  fs: FileSystem,
  fd: number,
  end: number,
  space: Buffer,
  known: { readonly end: number; readonly checksum: number } = { end: 0, checksum: 0 },
): Generator<void, number | undefined> {
  let { end: at, checksum } = known;
  while (at < end) {
    const count = fs.read(fd, space, 0, Math.min(space.length, BLOCK_BYTES, end - at), at);
    if (count === 0) return undefined;
    checksum = crc32Number(space.subarray(0, count), checksum);
    at += count;
    yield;
  }
  return checksum;
}
