/**
 * What transcripts are as of a commit, by a second reading of their rules (docs/protocol.md): the oracle's half of
 * `src/log/transcript-verdict.ts`, with which it shares no code. It knows each item's line and each file's bytes, so that what
 * processes write can be compared byte by byte.
 */
import { crc32 } from "node:zlib";
import { Violation } from "./violation.js";

export interface ModelItem {
  readonly seq: number;
  readonly position: number;
  readonly id: string | undefined;
  readonly value: unknown;
  readonly revision: number;
  readonly time: number;
  /** Its line in a file, with the newline. */
  readonly line: Buffer;
}

interface ModelChunk {
  readonly first: number;
  readonly born: number;
  /** Position of the item in front of it. */
  readonly before: number;
  readonly content: Buffer;
}

export interface ModelTranscript {
  readonly since: number;
  readonly cut: number;
  /** Positions up to this one are trimmed away. */
  readonly gone: number;
  readonly last: number;
  /** Those that are there. */
  readonly items: readonly ModelItem[];
  /** Those, and in front of them trimmed ones of which the lines may be in files still. */
  readonly lined: readonly ModelItem[];
  readonly chunks: readonly ModelChunk[];
}

/** By {@link placeOf}. */
export type ModelTranscripts = ReadonlyMap<string, ModelTranscript>;

/** As a line of the log has it. */
export interface TranscriptLine {
  readonly k: string;
  readonly l: string;
  readonly b?: number;
  readonly h?: 0 | readonly number[];
  readonly e?: number;
  readonly v?: number;
  readonly c?: number;
  readonly r?: 1;
  readonly x?: readonly [of: number, keep: number, first: number, before: number, n: number, body: number];
  readonly a?: readonly { readonly i?: string; readonly v: unknown }[];
  readonly g?: number;
  readonly m?: number;
}

/** What a commit did to a transcript, as a watch tells it. */
export interface ModelChange {
  readonly name: string;
  readonly removed?: true;
  readonly truncatedAfter?: number;
  readonly first?: number;
  readonly last?: number;
  readonly length: number;
}

export function placeOf(key: string, name: string): string {
  return `${key}\n${name}`;
}

export function lengthOf(transcript: ModelTranscript | undefined): number {
  return transcript?.items.length ?? 0;
}

/** Position of the newest item. */
function totalOf(transcript: ModelTranscript | undefined): number {
  return transcript === undefined ? 0 : transcript.gone + transcript.items.length;
}

/** Whether what an op demands is so. */
export function isAsDemanded(now: ModelTranscript | undefined, { e, v, c, x }: TranscriptLine): boolean {
  if (e !== undefined && e !== (now?.cut ?? 0)) return false;
  if (v !== undefined && v !== (now?.last ?? 0)) return false;
  if (c !== undefined && c !== lengthOf(now)) return false;
  return x === undefined || (now !== undefined && now.chunks.at(-1)?.born === x[0]);
}

/** The head that an op brings must be what the log says, if the op counts. */
export function assertHead(
  now: ModelTranscript | undefined,
  { k, l, h, r }: TranscriptLine,
  revision: number,
): void {
  if (h === undefined || r !== undefined) return; // of what is removed nothing need be known: its files may be damaged
  const chunk = now?.chunks.at(-1);
  const head =
    now === undefined || chunk === undefined
      ? 0
      : [now.since, now.cut, now.gone, now.last, totalOf(now), chunk.first, chunk.born, chunk.content.length];
  if (JSON.stringify(head) !== JSON.stringify(h))
    throw new Violation(
      `${revision} says that ${l} of ${k} was ${JSON.stringify(h)}, and it was ${JSON.stringify(head)}`,
    );
}

/** @returns The transcript after an op, and what there is to tell; the same one if nothing changed. */
export function applied(
  now: ModelTranscript | undefined,
  op: TranscriptLine,
  {
    revision,
    time,
    chunkBytes,
  }: { readonly revision: number; readonly time: number; readonly chunkBytes: number },
): { readonly after: ModelTranscript | undefined; readonly change: ModelChange | undefined } {
  const { r, x, a = [], g, m, l: name } = op;
  const base = r === undefined ? now : undefined;
  const kept = x === undefined ? base?.items : base?.items.filter(({ seq }) => seq <= x[1]);
  const known = new Set(kept?.map(({ id }) => id));
  const fresh = a.filter(({ i }) => {
    if (i === undefined) return true;
    const isNew = !known.has(i);
    known.add(i);
    return isNew;
  });
  if (r === undefined && x === undefined && fresh.length === 0) return { after: now, change: undefined };
  const removed = r !== undefined && now !== undefined;
  if (base === undefined && fresh.length === 0)
    return { after: undefined, change: { name, ...(removed && { removed }), length: 0 } };
  const building = new Building(op, base, revision, time, chunkBytes);
  const total = (base?.gone ?? 0) + (kept?.length ?? 0) + fresh.length;
  building.gone = Math.max(base?.gone ?? 0, m === undefined ? Math.min(g ?? 0, total) : total - m);
  const cut = building.recut((base?.items.length ?? 0) - (kept?.length ?? 0));
  const first = building.last + 1;
  for (const { v, i } of fresh) building.append(v, i);
  const after = building.finish();
  const change: ModelChange = {
    name,
    ...(removed && { removed }),
    ...(cut && x !== undefined && { truncatedAfter: x[1] }),
    ...(fresh.length > 0 && { first, last: after.last }),
    length: after.items.length,
  };
  return { after, change };
}

class Building {
  gone = 0;
  last: number;
  readonly #since: number;
  #cut: number;
  #total: number;
  #lined: ModelItem[];
  #chunks: ModelChunk[];

  constructor(
    private readonly op: TranscriptLine,
    base: ModelTranscript | undefined,
    private readonly revision: number,
    private readonly time: number,
    private readonly chunkBytes: number,
  ) {
    this.last = base?.last ?? 0;
    this.#since = base?.since ?? revision;
    this.#cut = base?.cut ?? revision;
    this.#total = totalOf(base);
    this.#lined = [...(base?.lined ?? [])];
    this.#chunks = [...(base?.chunks ?? [])];
  }

  /**
   * @param off How many items are cut off the end.
   * @returns Whether any are.
   */
  recut(off: number): boolean {
    const { x, k } = this.op;
    if (x === undefined) return false;
    const [, keep, first, before, n, body] = x;
    if (off > 0) this.#cut = this.revision;
    this.#total -= off;
    const over = this.#lined.filter(({ position }) => position > before && position <= before + n);
    const lines = Buffer.concat(over.map(({ line }) => line));
    if (over.length !== n || lines.length !== body)
      throw new Violation(
        `${this.revision} takes over ${n} items of ${k} in ${body} bytes, and they are ${over.length} in ${lines.length}`,
      );
    this.#lined = this.#lined.filter(({ seq }) => seq <= keep);
    const below = n > 0 ? first : keep + 1;
    this.#chunks = this.#chunks.filter((chunk) => chunk.first < below);
    this.#begin(first, before, lines);
    return off > 0;
  }

  append(value: unknown, id: string | undefined): void {
    const chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.content.length >= this.chunkBytes)
      this.#begin(this.last + 1, this.#total, Buffer.alloc(0));
    const seq = ++this.last;
    const position = ++this.#total;
    const { revision, time, gone } = this;
    const line = lineOf(
      {
        seq,
        revision,
        time,
        ...(position !== seq && { position }),
        ...(gone > 0 && { gone }),
        ...(id !== undefined && { id }),
      },
      value,
    );
    this.#lined.push({ seq, position, id, value, revision, time, line });
    const last = this.#chunks.pop() as ModelChunk;
    this.#chunks.push({ ...last, content: Buffer.concat([last.content, line]) });
  }

  finish(): ModelTranscript {
    const { gone, last } = this;
    const chunks = this.#chunks.filter((_chunk, index) => {
      const next = this.#chunks[index + 1];
      return next === undefined || next.before > gone;
    });
    const items = this.#lined.filter(({ position }) => position > gone);
    const oldest = chunks[0]?.before ?? 0;
    const lined = this.#lined.filter(({ position }) => position > oldest);
    return { since: this.#since, cut: this.#cut, gone, last, items, lined, chunks };
  }

  #begin(first: number, before: number, body: Buffer): void {
    const { gone, last, revision } = this;
    const { k: key, l: transcript } = this.op;
    const header = { key, transcript, first, since: this.#since, cut: this.#cut, last, before };
    const text = JSON.stringify({ $items: { ...header, ...(gone > 0 && { gone }), crc: ZERO_CRC } });
    const content = Buffer.concat([withCrc(text), body]);
    this.#chunks.push({ first, born: revision, before, content });
  }
}

const ZERO_CRC = "00000000";

function lineOf(header: object, value: unknown): Buffer {
  const $item = { ...header, crc: ZERO_CRC };
  const inline =
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).every((name) => !name.startsWith("$"));
  return withCrc(JSON.stringify(inline ? { $item, ...value } : { $item, $value: value }));
}

function withCrc(text: string): Buffer {
  const crc = crc32(text).toString(16).padStart(8, "0");
  return Buffer.from(`${text.replace(`"crc":"${ZERO_CRC}"`, `"crc":"${crc}"`)}\n`);
}
