/**
 * The lines of a file or stream of any length: one piece and one line are in memory. A line that is too long is not kept, only
 * counted.
 */
const NEWLINE = 0x0a;

export interface InputLine {
  /** From 1. */
  readonly number: number;
  /** Without its line break; undefined: there are too many. */
  readonly bytes: Buffer | undefined;
  readonly length: number;
  /** A line break ends it. */
  readonly ended: boolean;
}

/** The lines that each piece of the input completes. */
export async function* linesIn(
  pieces: AsyncIterable<Uint8Array>,
  lineBytesMax: number,
): AsyncGenerator<readonly InputLine[], void> {
  let number = 0;
  let held: Buffer[] = [];
  let length = 0;
  const hold = (part: Buffer): void => {
    length += part.length;
    if (length > lineBytesMax) held = [];
    else held.push(part);
  };
  const take = (ended: boolean): InputLine => {
    const bytes = length > lineBytesMax ? undefined : held.length === 1 ? held[0] : Buffer.concat(held);
    const line = { number: ++number, bytes, length, ended };
    held = [];
    length = 0;
    return line;
  };
  for await (const given of pieces) {
    const piece = Buffer.from(given.buffer, given.byteOffset, given.byteLength);
    const lines: InputLine[] = [];
    let start = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, start)) {
      hold(piece.subarray(start, end));
      lines.push(take(true));
      start = end + 1;
    }
    hold(piece.subarray(start));
    if (lines.length > 0) yield lines;
  }
  if (length > 0) yield [take(false)];
}
