/**
 * `hint-<g>`: what the live log adds up to, as of a position in segment g, so that the next process to open the store need not read it
 * line by line. As Bitcask's hint files do, it says nothing that the log does not say: it may be missing, old or torn, and it is
 * believed only where the log's bytes are the very bytes that it was made of (H1, `log/hinted-segment.ts`).
 *
 * Lines as in the log (checksum, space, JSON). The first one says of what it is:
 *
 *     { "hint": 7, "form": 1, "store": storeId, "records": 18000, "segments": [[number, position, lastLineAt, checksum], …] }
 *
 * For each segment follow its ledger, and what it made of sessions; then transcripts, and what is dead; then an end:
 *
 *     { "ledger": [number, firstRevision, stage, chunkBytes, after, lastRevision, sealed, end, commits] }
 *     { "seal": [gap | null, bytes | null, wantedFirstRevision] }                             of a sealed one
 *     { "writers": [[w, n], …] }  { "cleared": [[key, revision], …] }  { "operations": [[id, hash, revision], …] }
 *     { "states": [[key, revision, modifiedAt, stored | 0], …] }
 *     { "ledger-transcript": [key, name, head, revision] }  { "ids": [[id, seq, position], …] }
 *     { "deletes": [[key, [[segment, revision], …]], …] }
 *     { "transcript": [key, name, base, head, revision, ends, cuts, chunks] }  { "items": [[…], …] }
 *     { "dead": […] }
 *     { "end": 7 }
 */
import type { FileSystem } from "../../../fs/file-system.js";
import { readRegularFile } from "../../../fs/regular-file.js";
import { lineValue, type LineValue } from "../../../format/checked-line.js";
import { encodeLogLine } from "../../../format/log-line.js";
import type { BlobReference, StoredObject, StoredValue } from "../../../format/stored-value.js";
import { composeHead, parseHead, type TranscriptHead } from "../../../format/transcript-head.js";
import type { HintedSegment } from "../../../log/hinted-segment.js";
import { newLedger, type SegmentLedger } from "../../../log/segment-ledger.js";
import type { DeadValuesState } from "../dead-values.js";
import type { SessionState } from "../session-table.js";
import type { Cut, HotChunk, HotItem, HotTranscriptState } from "../transcripts/hot-transcript.js";
import type { DeleteIn, HotTranscriptsState } from "../transcripts/hot-transcripts.js";

/** Of what this page says. A hint of a later version, in a store that went back to this one, says something else. */
const FORM = 1;
/** A line is ended when it has so many UTF-16 units. */
const LINE_UNITS = 64 * 1024;
/** Some times a segment under load. */
const FILE_BYTES_MAX = 512 * 1024 * 1024;
const NEWLINE = 0x0a;

/** A session as of the end of a segment, or of what was read of it. */
export interface HintedState {
  readonly key: string;
  readonly revision: number;
  readonly modifiedAt: number;
  readonly stored: StoredObject | undefined;
}

/** A live segment, and the last state of each session that it changed. */
export interface SegmentInHint<State = HintedState> extends HintedSegment {
  readonly states: readonly State[];
}

/** What the live log adds up to. */
export interface Hint<State = HintedState> {
  /** Lowest first; all but the last one were read to their seal. */
  readonly segments: readonly SegmentInHint<State>[];
  /** Revision of the latest commit that changed a record, as far as that is known. */
  readonly recordsRevision: number | undefined;
  readonly transcripts: HotTranscriptsState;
  readonly dead: DeadValuesState;
}

/** The file's lines, one after the other. @returns How many bytes they have. */
export function* composeHint(hint: Hint<SessionState>, storeId: string): Generator<Buffer, number> {
  let bytes = 0;
  for (const line of linesOf(hint, storeId)) {
    bytes += line.length;
    yield line;
  }
  return bytes;
}

function* linesOf(hint: Hint<SessionState>, storeId: string): Generator<Buffer, void> {
  const { segments, recordsRevision = null, transcripts, dead } = hint;
  const last = segments.at(-1)?.number;
  const places = segments.map(({ number, position, lastLineAt, checksum }) => [
    number,
    position,
    lastLineAt,
    checksum,
  ]);
  yield lineOf({ hint: last, form: FORM, store: storeId, records: recordsRevision, segments: places });
  for (const segment of segments) yield* composeSegment(segment);
  const { deletes } = transcripts;
  yield* block("deletes", deletes, ([key, list]) =>
    JSON.stringify([key, list.map(({ segment, revision }) => [segment, revision])]),
  );
  for (const transcript of transcripts.transcripts) yield* composeTranscript(transcript);
  const { inSegment, bytes, given, nested } = dead;
  yield lineOf({ dead: [inSegment, bytes] });
  yield* block("given", given, (entry) => JSON.stringify(entry));
  yield* block("nested", nested, ({ hash, bytes: size }) => JSON.stringify([hash, size]));
  yield lineOf({ end: last });
}

function* composeSegment({ ledger, states }: SegmentInHint<SessionState>): Generator<Buffer, void> {
  const { number, firstRevision, stage, chunkBytes, after, lastRevision, sealed, end, commits } = ledger;
  yield lineOf({
    ledger: [number, firstRevision, stage, chunkBytes, after, lastRevision, sealed ? 1 : 0, end, commits],
  });
  const { sealedGap = null, sealedBytes = null, wantedFirstRevision } = ledger;
  if (sealed) yield lineOf({ seal: [sealedGap, sealedBytes, wantedFirstRevision] });
  yield* block("writers", ledger.numbers, (entry) => JSON.stringify(entry));
  yield* block("cleared", ledger.cleared, (entry) => JSON.stringify(entry));
  yield* block("operations", ledger.operations, ([id, { hash, revision }]) =>
    JSON.stringify([id, hash, revision]),
  );
  yield* block("states", states, ({ key, revision, modifiedAt, stored }) =>
    JSON.stringify([key, revision, modifiedAt, stored ?? 0]),
  );
  for (const [key, ofKey] of ledger.transcripts)
    for (const [name, { head, revision, ids }] of ofKey) {
      const [k, n] = [JSON.stringify(key), JSON.stringify(name)];
      yield encodeLogLine(`{"ledger-transcript":[${k},${n},${composeHead(head)},${revision}]}`);
      yield* block("ids", ids, ([id, { seq, position }]) => JSON.stringify([id, seq, position]));
    }
}

function* composeTranscript(hot: HotTranscriptState): Generator<Buffer, void> {
  const { key, name, base, head, revision, items, chunks, cuts, ends } = hot;
  const parts = [
    JSON.stringify(key),
    JSON.stringify(name),
    composeHead(base),
    composeHead(head),
    revision,
    `[${ends.map((end) => `[${end.segment},${composeHead(end.head)}]`).join()}]`,
    JSON.stringify(cuts),
    JSON.stringify(chunks),
  ];
  yield encodeLogLine(`{"transcript":[${parts.join()}]}`);
  yield* block("items", items, (item) => {
    const {
      seq,
      position,
      gone,
      chunk,
      at,
      bytes,
      id = 0,
      revision,
      time,
      segment,
      offset,
      op,
      index,
    } = item;
    const { first, born } = chunk;
    const place = [seq, position, gone, first, born, at, bytes];
    return JSON.stringify([...place, revision, time, segment, offset, op, index, id]);
  });
}

function lineOf(value: object): Buffer {
  return encodeLogLine(JSON.stringify(value));
}

/** Lines of one array, each of bounded length. */
function* block<T>(
  name: string,
  entries: Iterable<T>,
  compose: (entry: T) => string,
): Generator<Buffer, void> {
  let texts: string[] = [];
  let units = 0;
  for (const entry of entries) {
    const text = compose(entry);
    texts.push(text);
    units += text.length;
    if (units < LINE_UNITS) continue;
    yield encodeLogLine(`{"${name}":[${texts.join()}]}`);
    texts = [];
    units = 0;
  }
  if (texts.length > 0) yield encodeLogLine(`{"${name}":[${texts.join()}]}`);
}

/**
 * Reads a hint. Yields between lines.
 * @returns Undefined if there is none, or none that can be used: damaged, of another store, or in another form.
 */
export function* readHint(fs: FileSystem, path: string, storeId: string): Generator<void, Hint | undefined> {
  try {
    const bytes = readRegularFile(fs, path, { bytesMax: FILE_BYTES_MAX });
    return yield* parseHint(Buffer.from(bytes), storeId);
  } catch {
    return undefined; // whatever it is, the log has it all
  }
}

/** How far the log was read for a hint, of which at least the first line is given: number of its last segment, and position. */
export function peekHint(
  bytes: Buffer,
  storeId: string,
): { readonly number: number; readonly position: number } | undefined {
  const newline = bytes.indexOf(NEWLINE);
  const first = newline < 0 ? undefined : lineValue(bytes.subarray(0, newline));
  if (first?.["form"] !== FORM || first["store"] !== storeId) return undefined;
  const [number, position] = (first["segments"] as Place[]).at(-1) ?? [0, 0];
  return { number, position };
}

function* parseHint(bytes: Buffer, storeId: string): Generator<void, Hint | undefined> {
  const reading = new HintReading(storeId);
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(NEWLINE, start);
    const parsed = newline < 0 ? undefined : lineValue(bytes.subarray(start, newline));
    if (parsed === undefined || reading.ended || !reading.take(parsed)) return undefined;
    start = newline + 1;
    yield;
  }
  return reading.ended ? reading.hint : undefined;
}

type Place = readonly [number: number, position: number, lastLineAt: number, checksum: number];

interface Writable<T> {
  readonly states: T[];
  readonly ledger: SegmentLedger;
}

/** What the lines so far have said. What a line says is as it was written: its checksum is right. */
class HintReading {
  ended = false;
  #number = 0;
  #places: readonly Place[] = [];
  #recordsRevision: number | undefined;
  readonly #segments: Writable<HintedState>[] = [];
  readonly #transcripts: (HotTranscriptState & { readonly items: HotItem[] })[] = [];
  readonly #deletes: [string, DeleteIn[]][] = [];
  readonly #dead = {
    inSegment: 0,
    bytes: 0,
    given: [] as [string, number][],
    nested: [] as BlobReference[],
  };
  #ids: Map<string, { readonly seq: number; readonly position: number }> | undefined;

  constructor(private readonly storeId: string) {}

  get hint(): Hint | undefined {
    if (this.#segments.length !== this.#places.length || this.#segments.length === 0) return undefined;
    const segments = this.#segments.map(({ ledger, states }, index): SegmentInHint => {
      const [number, position, lastLineAt, checksum] = this.#places[index] as Place;
      return { number, position, lastLineAt, checksum, ledger, states };
    });
    const transcripts = { transcripts: this.#transcripts, deletes: this.#deletes };
    return { segments, recordsRevision: this.#recordsRevision, transcripts, dead: this.#dead };
  }

  /** @returns Whether it is a line that may stand here. */
  take(parsed: LineValue): boolean {
    const [name = ""] = Object.keys(parsed);
    if ((name === "hint") === this.#number > 0) return false; // the first line, and no other
    const value = parsed[name];
    switch (name) {
      case "hint":
        return this.#begin(parsed);
      case "ledger":
        return this.#beginSegment(value as LedgerRow);
      case "deletes":
        for (const [key, list] of value as [string, [number, number][]][])
          this.#deletes.push([key, list.map(([inSegment, revision]) => ({ segment: inSegment, revision }))]);
        return true;
      case "transcript":
        this.#transcripts.push(transcriptOf(value as TranscriptRow));
        return true;
      case "items":
        for (const row of value as ItemRow[]) this.#transcripts.at(-1)?.items.push(itemOf(row));
        return true;
      case "dead":
        [this.#dead.inSegment, this.#dead.bytes] = value as [number, number];
        return true;
      case "given":
        this.#dead.given.push(...(value as [string, number][]));
        return true;
      case "nested":
        for (const [hash, bytes] of value as [string, number][])
          this.#dead.nested.push({ hash, bytes, nested: true });
        return true;
      case "end":
        this.ended = value === this.#number;
        return this.ended;
      default: {
        const segment = this.#segments.at(-1);
        return segment !== undefined && this.#takeOfSegment(segment, name, value);
      }
    }
  }

  #begin({ hint, form, store, records, segments }: LineValue): boolean {
    if (form !== FORM || store !== this.storeId) return false;
    this.#number = hint as number;
    this.#places = segments as readonly Place[];
    this.#recordsRevision = (records as number | null) ?? undefined;
    return true;
  }

  #beginSegment(row: LedgerRow): boolean {
    const [number, firstRevision, stage, chunkBytes, after, lastRevision, sealed, end, commits] = row;
    const ledger = newLedger(number);
    Object.assign(ledger, {
      firstRevision,
      stage,
      chunkBytes,
      after,
      lastRevision,
      sealed: sealed === 1,
      end,
      commits,
    });
    this.#segments.push({ ledger, states: [] });
    return true;
  }

  #takeOfSegment({ ledger, states }: Writable<HintedState>, name: string, value: unknown): boolean {
    switch (name) {
      case "seal": {
        const [gap, bytes, wanted] = value as [number | null, number | null, number];
        ledger.sealedGap = gap ?? undefined;
        ledger.sealedBytes = bytes ?? undefined;
        ledger.wantedFirstRevision = wanted;
        return true;
      }
      case "writers":
        for (const [w, n] of value as [string, number][]) ledger.numbers.set(w, n);
        return true;
      case "cleared":
        for (const [key, revision] of value as [string, number][]) ledger.cleared.set(key, revision);
        return true;
      case "operations":
        for (const [id, hash, revision] of value as [string, string, number][])
          ledger.operations.set(id, { hash, revision });
        return true;
      case "states":
        for (const [key, revision, modifiedAt, entry] of value as StateRow[]) {
          const stored = entry === 0 ? undefined : entry;
          states.push({ key, revision, modifiedAt, stored });
          ledger.changed.set(key, stored === undefined ? 0 : revision);
        }
        return true;
      case "ledger-transcript": {
        const [key, transcript, head, revision] = value as [string, string, StoredValue, number];
        this.#ids = new Map();
        const ofKey = ledger.transcripts.get(key) ?? new Map<string, never>();
        ledger.transcripts.set(key, ofKey.set(transcript, { head: headOf(head), revision, ids: this.#ids }));
        return true;
      }
      case "ids":
        for (const [id, seq, position] of value as [string, number, number][])
          this.#ids?.set(id, { seq, position });
        return true;
      default:
        return false;
    }
  }
}

type LedgerRow = readonly [
  number: number,
  firstRevision: number,
  stage: string,
  chunkBytes: number,
  after: number,
  lastRevision: number,
  sealed: 0 | 1,
  end: number,
  commits: number,
];
type StateRow = readonly [key: string, revision: number, modifiedAt: number, stored: StoredObject | 0];

function headOf(value: StoredValue): TranscriptHead | undefined {
  const head = parseHead(value);
  return head === "none" ? undefined : head;
}

type TranscriptRow = readonly [
  key: string,
  name: string,
  base: StoredValue,
  head: StoredValue,
  revision: number,
  ends: readonly (readonly [segment: number, head: StoredValue])[],
  cuts: readonly Cut[],
  chunks: readonly HotChunk[],
];

function transcriptOf(row: TranscriptRow): HotTranscriptState & { readonly items: HotItem[] } {
  const [key, name, base, head, revision, ends, cuts, chunks] = row;
  return {
    key,
    name,
    base: headOf(base),
    head: headOf(head),
    revision,
    ends: ends.map(([segment, at]) => ({ segment, head: headOf(at) })),
    cuts,
    chunks,
    items: [],
  };
}

function itemOf(row: ItemRow): HotItem {
  const [seq, position, gone, first, born, at, bytes, revision, time, segment, offset, op, index, id] = row;
  return {
    seq,
    position,
    gone,
    chunk: { first, born },
    at,
    bytes,
    id: id === 0 ? undefined : id,
    revision,
    time,
    segment,
    offset,
    op,
    index,
    json: undefined,
  };
}

type ItemRow = readonly [
  seq: number,
  position: number,
  gone: number,
  first: number,
  born: number,
  at: number,
  bytes: number,
  revision: number,
  time: number,
  segment: number,
  offset: number,
  op: number,
  index: number,
  id: string | 0,
];
