/**
 * The members of an archive file, each by itself: what is wrong with one is nothing to the others.
 *
 * A member begins with the fixed bytes of a gzip header as this library writes it; the first one begins with the file, whatever stands
 * there, so that a file which somebody packed anew is read as one. That packed data has the same eight bytes by chance happens once in
 * 2^64; then that member is told to be damaged, and nothing else.
 */
import type { FileSystem } from "../../fs/file-system.js";
import { readAt } from "../../fs/read-at.js";

/** Magic, deflate, no flags, no time. What comes next is another one's business: how hard was packed, and where. */
const BEGINNING = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
const READ_BYTES = 256 * 1024;

export interface MemberRange {
  readonly start: number;
  readonly end: number;
}

/** Bytes of a file, from one offset to another. */
export async function* piecesOf(
  fs: FileSystem,
  fd: number,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array, void> {
  for (let position = start; position < end;) {
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, end - position));
    const count = await fs.later.read(fd, buffer, 0, buffer.length, position);
    if (count === 0) return;
    yield buffer.subarray(0, count);
    position += count;
  }
}

/** Where members begin and end. */
export async function* membersIn(
  fs: FileSystem,
  fd: number,
  size: number,
): AsyncGenerator<MemberRange, void> {
  let start = 0;
  let position = 0;
  let rest = Buffer.alloc(0);
  for await (const piece of piecesOf(fs, fd, 0, size)) {
    const bytes = Buffer.concat([rest, piece]);
    const first = position - rest.length;
    for (let at = bytes.indexOf(BEGINNING); at >= 0; at = bytes.indexOf(BEGINNING, at + BEGINNING.length)) {
      if (first + at > start) yield { start, end: first + at };
      start = first + at;
    }
    position += piece.length;
    // A beginning may be in two pieces.
    rest = bytes.subarray(Math.max(0, bytes.length - BEGINNING.length + 1));
  }
  if (position > start) yield { start, end: position };
}

/**
 * The last member of a file without the first bytes of another one, of which a kill left no more than that; undefined: it does not end with
 * such bytes. A member may also end with them by itself: try it as it is first.
 */
export function withoutTornHeader(
  fs: FileSystem,
  fd: number,
  { start, end }: MemberRange,
): MemberRange | undefined {
  const from = Math.max(start + BEGINNING.length, end - BEGINNING.length + 1);
  if (from >= end) return undefined;
  const tail = readAt(fs, fd, end - from, from);
  for (let length = tail.length; length > 0; length--)
    if (tail.subarray(tail.length - length).equals(BEGINNING.subarray(0, length)))
      return { start, end: end - length };
  return undefined;
}
