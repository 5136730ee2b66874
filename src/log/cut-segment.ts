/**
 * A segment of which the end was cut off, or that was overwritten, behind what this process has read: looks at its file anew.
 *
 * An append-only file keeps what was read of it, so a process reads on where it stopped. Where something has cut the file
 * off, others may have ended what was left (D6), or have gone on from it without knowing more. Only the bytes in front of the
 * place where this process reads tell, and it looks at those only when something is odd: the file is shorter, what comes next
 * does not follow, or a second has passed.
 */
import { SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { readAt } from "../fs/read-at.js";
import { parseLogLines, type LogLine, type PlacedLine } from "../format/log-line.js";
import type { Segment } from "./segment.js";
import { newLedger, type SegmentLedger } from "./segment-ledger.js";
import { mention } from "./behind-gap.js";
import { decide } from "./verdict.js";

const NEWLINE = 0x0a;
/** A segment is sealed at some MiB; one line is at most 17 MiB longer. */
const BYTES_MAX = 2 ** 30;

/**
 * What a segment's file has now, from an offset on or up to one.
 * @throws `log_damaged` when these are too many bytes to be looked through.
 */
export function bytesOf(fs: FileSystem, { fd, path, number }: Segment, from = 0, to?: number): Buffer {
  const { size } = fs.fstat(fd);
  const length = Math.max(0, Math.min(size, to ?? size) - from);
  if (length > BYTES_MAX)
    throw new SessionStoreError(
      "log_damaged",
      `${path} has ${size} bytes, far more than a segment takes: something has lengthened it. Stop all processes, cut it to ` +
        "what it had (its last line that ends), or restore it from a backup, and mend the log.",
      { data: { path, segment: number, bytes: size } },
    );
  return readAt(fs, fd, length, from);
}

/** Every line that ends, in the pieces that it consists of. */
export function* linesIn(bytes: Buffer): Generator<PlacedLine & { readonly end: number }> {
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
    for (const placed of parseLogLines(bytes, start, end)) yield { ...placed, end: end + 1 };
    start = end + 1;
  }
}

/**
 * A seal may be a block that stands in a place that is not its own: what is behind it may have counted, up to a revision,
 * and the segment ends somewhere behind that.
 */
export function mentionRest(fs: FileSystem, segment: Segment, revisionMax = Number.POSITIVE_INFINITY): void {
  const { ledger, position, firstRevision } = segment;
  const rest = bytesOf(fs, segment, position);
  if (rest.length === 0) return;
  segment.endUnknown = true;
  const end = firstRevision + position + rest.length;
  ledger.wantedFirstRevision = Math.max(ledger.wantedFirstRevision, end);
  for (const { at, line } of linesIn(rest))
    if (line.kind === "record" && firstRevision + position + at <= revisionMax)
      mention(ledger, line.record, position + at);
}

/** What a process that comes now makes of a segment. */
export function readAnew(fs: FileSystem, segment: Segment): SegmentLedger {
  const ledger = newLedger(segment.number);
  for (const { at, end, from, line } of linesIn(bytesOf(fs, segment))) {
    if (line.kind !== "header" && ledger.firstRevision === undefined) {
      ledger.firstRevision = segment.firstRevision; // it was cut off as well
      ledger.chunkBytes = segment.ledger.chunkBytes;
    }
    decide(ledger, line, at, end, from);
  }
  return ledger;
}

/** The seal of a process that has found the segment cut off, and has ended it there. */
export function sealOfCut(fs: FileSystem, segment: Segment): (LogLine & { kind: "seal" }) | undefined {
  const { sealedGap: gap, sealedBytes: bytes, wantedFirstRevision: firstRevision } = readAnew(fs, segment);
  if (gap === undefined || bytes === undefined) return undefined;
  return { kind: "seal", seal: { seal: segment.number + 1, firstRevision, gap, bytes } };
}

/**
 * Whether the latest line that was read of a segment still stands there, or damage. A record that was not read came there after the
 * file was cut off in front of it.
 */
export function endsAsRead(fs: FileSystem, { fd, lastLineAt, position, ledger }: Segment): boolean {
  const bytes = Buffer.allocUnsafe(Math.max(0, position - lastLineAt));
  if (fs.read(fd, bytes, 0, bytes.length, lastLineAt) < bytes.length) return false;
  const line = parseLogLines(bytes, 0, bytes.length - 1).at(-1)?.line;
  return line?.kind !== "record" || line.record.n <= (ledger.numbers.get(line.record.w) ?? 0);
}

/** Offset of the first record of others that this process has not read, although it stands in front of where it reads. */
export function unreadRecord(fs: FileSystem, segment: Segment, ownWriter: string): number | undefined {
  const { number, position, ledger } = segment;
  for (const { at, line } of linesIn(bytesOf(fs, segment, 0, position))) {
    if (line.kind !== "record" || line.record.g !== number) continue;
    const { w, n } = line.record;
    if (w !== ownWriter && n > (ledger.numbers.get(w) ?? 0)) return at;
  }
  return undefined;
}
