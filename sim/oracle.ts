/**
 * A witness that reads every line of the log the moment it was written, decides it by a second, independent reading of
 * the rules, and so knows what really happened: the sequential model that processes' answers are compared with.
 *
 * It shares no code with `src/log/`: a mistake there shows as a disagreement. Besides the rules it knows what no rule can
 * know: every write carries a token of its own and the token of the entry it was computed from. So it notices a write that
 * counts twice, one that was computed from a state that was not the latest, and money that was made or lost.
 */
import { crc32 } from "node:zlib";
import type { SimulatedDisk } from "../src/testing/simulated/disk.js";
import {
  applied,
  assertHead,
  isAsDemanded,
  lengthOf,
  placeOf,
  type ModelChange,
  type ModelTranscripts,
  type TranscriptLine,
} from "./transcript-model.js";
import { Violation } from "./violation.js";

export const STORE = "/data/sessions.d";
export const FROM = "from";
export const TO = "to";
/** The transcript whose length a session's field of the same name always is, if it has that field. */
export const TURNS = "turns";
/** What the sessions `from` and `to` always add up to. */
export const TOTAL = 100;

export interface Fields {
  readonly [name: string]: unknown;
}

export interface Version {
  readonly revision: number;
  readonly fields: Fields;
}

export type State = ReadonlyMap<string, Version>;

export interface Commit {
  readonly revision: number;
  /** Names the record: who wrote it, and their number for it. */
  readonly writer: string;
  readonly number: number;
  readonly changed: readonly string[];
  /** What it did to transcripts, in its order. */
  readonly lists: readonly ListChange[];
  readonly after: State;
  readonly transcripts: ModelTranscripts;
  /** Id of the operation that it is. */
  readonly operation: string | undefined;
}

export interface ListChange {
  readonly key: string;
  readonly change: ModelChange;
}

interface Op {
  readonly k: string;
  readonly b?: number;
  readonly s?: Fields;
  readonly p?: Fields;
  readonly u?: readonly string[];
  readonly d?: 1;
}

interface Line {
  readonly segment?: number;
  readonly firstRevision?: number;
  readonly after?: number;
  readonly stage?: string;
  readonly seal?: number;
  readonly gap?: number;
  readonly cut?: number;
  readonly w: string;
  readonly n: number;
  readonly g: number;
  readonly t: number;
  readonly chunk?: number;
  readonly o?: readonly [id: string, hash: string];
  readonly ops?: readonly Op[];
  readonly transcripts?: readonly TranscriptLine[];
}

interface PlacedLine {
  readonly offset: number;
  readonly bytes: number;
  readonly line: Line | "unreadable";
}

interface Reading {
  readonly segment: number;
  position: number;
  first: number;
  last: number;
  /** Behind bytes that the oracle cannot read either: only after a power cut. */
  lost: boolean;
  sealed: boolean;
  wanted: number;
  stage: string;
  readonly chunkBytes: number;
  readonly changed: Map<string, number>;
  /** Transcripts that the segment has mentioned, and sessions that it has deleted. */
  readonly listed: Set<string>;
  readonly cleared: Set<string>;
}

const EMPTY: Commit = {
  revision: 0,
  writer: "",
  number: 0,
  changed: [],
  lists: [],
  after: new Map(),
  transcripts: new Map(),
  operation: undefined,
};
const CHUNK_BYTES = 4 * 1024 * 1024;
const NEWLINE = 0x0a;
const CRC_DIGITS = 8;

export class Oracle {
  /** Every commit that the disk still has, oldest first; the first one stands for the empty store. */
  history: Commit[];
  /** Latest revision that a caller was promised to find after a power cut. */
  promised = 0;
  /** Bytes of the log were damaged: a seal that the oracle has read may have been written once more. */
  damaged = false;
  /** Sessions of which something was cut off with the bytes that said where the log goes on. */
  readonly doubtful = new Set<string>();
  /** Revision of each token that counts. */
  tokens: Map<string, number>;
  #reading: Reading | undefined;
  /** Where the commits of each segment stand, and what they change. */
  readonly #lines = new Map<number, { start: number; end: number; keys: string[] }[]>();

  constructor(
    private readonly disk: SimulatedDisk,
    past: { readonly history: readonly Commit[] } = { history: [EMPTY] },
  ) {
    this.history = [...past.history];
    this.tokens = new Map();
    for (const commit of this.history) this.#enterTokens(commit);
    this.#begin();
  }

  get state(): State {
    return this.#latest.after;
  }

  get transcripts(): ModelTranscripts {
    return this.#latest.transcripts;
  }

  get revision(): number {
    return this.#latest.revision;
  }

  /** Number and staging folder of the segment that counts. */
  get active(): { readonly segment: number; readonly stage: string } | undefined {
    return this.#reading;
  }

  get #latest(): Commit {
    return this.history[this.history.length - 1]!;
  }

  /** Sessions that commits change of which a line was in these bytes of a segment. */
  changedWithin(segment: number, from: number, to: number): string[] {
    const lines = this.#lines.get(segment) ?? [];
    return lines.filter(({ start, end }) => start < to && end > from).flatMap(({ keys }) => keys);
  }

  /** Reads on. To be called before a process can have unlinked what was not read. */
  readOn(): void {
    if (this.#reading === undefined) this.#begin();
    for (let at = this.#reading; at !== undefined; at = this.#enterNext(at)) {
      this.#readSegment(at);
      if (!at.sealed) this.#endAtPowerCut(at);
      if (!at.sealed) return;
    }
  }

  /** After a power cut: goes back to what the disk kept, and sees that it is a beginning of what happened. */
  powerWasCut(): void {
    const before = this.history;
    const numbers = this.#segments();
    const run = liveRun(numbers);
    this.#reading = undefined;
    this.tokens = new Map();
    if (run[0] === undefined) {
      // Nothing was promised, or the comparison at the end fails: opening a store syncs none of its folders.
      this.history = [EMPTY];
    } else {
      const lowest = this.#open(run[0]);
      const base = before.findLast(({ revision }) => revision < lowest.first);
      if (base === undefined) throw new Violation(`nothing explains revision ${lowest.first}`);
      this.history = before.slice(0, before.indexOf(base) + 1);
      for (const commit of this.history) this.#enterTokens(commit);
      this.#reading = lowest;
      this.readOn();
    }
    for (const [index, commit] of this.history.entries()) {
      const witnessed = before[index];
      if (witnessed === undefined) break; // a whole record that was cut off from its newline counts now
      if (!sameRecord(witnessed, commit)) {
        throw new Violation(
          `the power cut made ${commit.writer}/${commit.number} revision ${commit.revision}, which was ` +
            `${witnessed.writer}/${witnessed.number} at ${witnessed.revision}`,
        );
      }
    }
    if (this.revision < this.promised) {
      throw new Violation(`the power cut left revision ${this.revision}; ${this.promised} was acknowledged`);
    }
  }

  #begin(): void {
    const [lowest] = liveRun(this.#segments());
    if (lowest === undefined) return;
    this.#reading = this.#open(lowest);
    this.readOn();
  }

  #segments(): number[] {
    return this.disk.names(`${STORE}/.store/log`).map((name) => Number.parseInt(name, 10));
  }

  #content(segment: number): Buffer | undefined {
    return this.disk.readRaw(`${STORE}/.store/log/${String(segment).padStart(8, "0")}.jsonl`);
  }

  #open(segment: number): Reading {
    const content = this.#content(segment);
    const end = content?.indexOf(NEWLINE) ?? -1;
    const header = content === undefined || end < 0 ? undefined : parse(content.subarray(0, end));
    if (typeof header !== "object" || header.segment !== segment || header.firstRevision === undefined) {
      throw new Violation(`segment ${segment} has no header`);
    }
    const { firstRevision: first, after: last = 0, stage = "", chunk: chunkBytes = CHUNK_BYTES } = header;
    const nothing = { lost: false, sealed: false, wanted: 0 };
    const sets = {
      changed: new Map<string, number>(),
      listed: new Set<string>(),
      cleared: new Set<string>(),
    };
    return { segment, position: end + 1, first, last, stage, chunkBytes, ...nothing, ...sets };
  }

  #enterNext(sealed: Reading): Reading | undefined {
    const number = sealed.segment + 1;
    if (this.#content(number) === undefined) {
      const others = this.#segments().filter((other) => other > sealed.segment);
      if (others.length > 0) throw new Violation(`segment ${others[0]} follows ${sealed.segment}`);
      return undefined;
    }
    const next = this.#open(number);
    const expected = Math.max(sealed.first + sealed.position, sealed.wanted);
    // Behind what a power cut took, a seal need not be in its place: whoever goes on begins behind everything that is there.
    const bytes = this.#content(sealed.segment)?.length ?? 0;
    const latest = sealed.lost ? Math.max(expected, sealed.first + bytes) : expected;
    if (this.damaged && next.first < Math.max(expected, this.revision + 1)) {
      // Cut off, and what stood there is lost, unless a file has it: no process that lives has read it.
      for (const commit of this.history)
        if (commit.revision >= next.first) for (const key of touched(commit)) this.doubtful.add(key);
      this.history = this.history.filter(({ revision }) => revision < next.first);
    } else if (next.first < expected || (next.first > latest && !this.damaged)) {
      throw new Violation(`segment ${number} begins at revision ${next.first}, not at ${expected}`);
    }
    if (next.last < sealed.last && !(this.damaged && next.first <= sealed.last))
      throw new Violation(`segment ${number} follows ${next.last}, not ${sealed.last}`);
    this.#reading = next;
    return next;
  }

  #readSegment(at: Reading): void {
    const content = this.#content(at.segment);
    if (content === undefined) {
      throw new Violation(
        `segment ${at.segment} is gone, and it was ${at.sealed ? "not followed" : "active"}`,
      );
    }
    while (!at.sealed) {
      const end = content.indexOf(NEWLINE, at.position);
      if (end < 0) return;
      for (const placed of linesIn(content.subarray(at.position, end), at.position)) this.#decide(at, placed);
      at.position = end + 1;
    }
  }

  /** What a power cut left has no seal behind it: the next segment is made, and says what it follows. */
  #endAtPowerCut(at: Reading): void {
    if (this.#content(at.segment + 1) === undefined) return;
    at.position = this.#content(at.segment)?.length ?? at.position;
    at.sealed = true;
  }

  #decide(at: Reading, { offset, bytes, line }: PlacedLine): void {
    const revision = at.first + offset;
    if (at.sealed) return;
    if (line === "unreadable") {
      at.lost = true;
      return;
    }
    if (line.seal !== undefined) {
      at.sealed = true;
      at.wanted = line.firstRevision ?? 0;
      return;
    }
    const { ops, transcripts = [], o } = line;
    if (at.lost || ops === undefined || line.g !== at.segment || !ops.every((op) => holds(at, op))) return;
    const before = this.history.findLast((commit) => commit.revision < revision) ?? EMPTY;
    if (
      o !== undefined &&
      this.history.some((commit) => commit.operation === o[0] && commit.revision !== revision)
    )
      return;
    if (!transcripts.every((op) => listHolds(at, before.transcripts, op))) return;
    at.last = revision;
    for (const op of ops) if (!isCheck(op)) at.changed.set(op.k, op.d === undefined ? revision : 0);
    for (const op of transcripts)
      if (!isListed(at, op)) assertHead(before.transcripts.get(placeOf(op.k, op.l)), op, revision);
    for (const { k, d } of ops) if (d !== undefined) at.cleared.add(k);
    for (const { k, l } of transcripts) at.listed.add(placeOf(k, l));
    const commit = this.#commitOf(line, ops, revision, before, at.chunkBytes);
    const lines = this.#lines.get(at.segment) ?? [];
    this.#lines.set(at.segment, lines);
    const start = revision - at.first;
    lines.push({ start, end: start + bytes + 1, keys: touched(commit) });
    if (revision <= this.revision) return;
    this.#enterTokens(commit);
    this.history.push(commit);
  }

  #commitOf(
    { w, n, t, o, transcripts = [] }: Line,
    ops: readonly Op[],
    revision: number,
    { after: before, transcripts: lists }: Commit,
    chunkBytes: number,
  ): Commit {
    const after = new Map(before);
    const changed: string[] = [];
    const listsAfter = new Map(lists);
    for (const op of ops) {
      const known = before.get(op.k);
      if (op.b !== undefined && op.b !== (known?.revision ?? 0)) {
        throw new Violation(
          `${w}/${n} commits as ${revision} on ${op.k}@${op.b}, but that is ${known?.revision}`,
        );
      }
      if (isCheck(op)) continue;
      changed.push(op.k);
      if (op.d !== undefined)
        for (const place of lists.keys()) if (place.startsWith(placeOf(op.k, ""))) listsAfter.delete(place);
      const fields = op.d === undefined ? (op.s ?? patched(known, op)) : undefined;
      if (fields === undefined) after.delete(op.k);
      else {
        assertComputedFrom(known, fields, op);
        after.set(op.k, { revision, fields });
      }
    }
    const changes: ListChange[] = [];
    for (const op of transcripts) {
      const place = placeOf(op.k, op.l);
      const { after: list, change } = applied(listsAfter.get(place), op, { revision, time: t, chunkBytes });
      if (change === undefined) continue;
      changes.push({ key: op.k, change });
      if (list === undefined) listsAfter.delete(place);
      else listsAfter.set(place, list);
    }
    const commit = {
      revision,
      writer: w,
      number: n,
      changed,
      lists: changes,
      after,
      transcripts: listsAfter,
      operation: o?.[0],
    };
    assertSum(commit);
    assertTurns(commit);
    return commit;
  }

  #enterTokens({ changed, lists, after, transcripts, revision }: Commit): void {
    for (const key of changed) this.#enterToken(after.get(key)?.fields["token"], revision);
    for (const { key, change } of lists)
      for (const item of transcripts.get(placeOf(key, change.name))?.items ?? [])
        if (item.revision === revision)
          this.#enterToken((item.value as Fields | undefined)?.["token"], revision);
  }

  #enterToken(token: unknown, revision: number): void {
    if (typeof token !== "string") return;
    const earlier = this.tokens.get(token);
    if (earlier !== undefined && earlier !== revision) {
      throw new Violation(`${token} counts twice, as ${earlier} and as ${revision}`);
    }
    this.tokens.set(token, revision);
  }
}

/** Sessions of which the record, or a transcript, is changed. */
function touched({ changed, lists }: Commit): string[] {
  return [...new Set([...changed, ...lists.map(({ key }) => key)])];
}

function sameRecord(a: Commit, b: Commit): boolean {
  return a.revision === b.revision && a.writer === b.writer && a.number === b.number;
}

function liveRun(numbers: readonly number[]): number[] {
  const sorted = [...numbers].sort((a, b) => a - b);
  let start = sorted.length - 1;
  while (start > 0 && sorted[start - 1] === sorted[start]! - 1) start--;
  return sorted.slice(Math.max(0, start));
}

/** First bytes of lines that were torn; they may stand behind a line whose newline was not written. */
const SHORT = /^(?=.{0,60}$)[0-9a-f]*(?:(?<=[0-9a-f]{8}) (?:\{"?)?[0-9a-f]*)*$/;

/** What stands between two newlines: torn beginnings of lines, and a whole one at the end. */
function linesIn(bytes: Buffer, start: number): PlacedLine[] {
  const text = bytes.toString("latin1");
  const starts = [0, ...[...text.matchAll(/[0-9a-f]{8} \{"[ws]/g)].map(({ index }) => index)];
  const pieces = [...new Set(starts)];
  return pieces.flatMap((from, index) => {
    const piece = bytes.subarray(from, pieces[index + 1] ?? bytes.length);
    const complete = index < pieces.length - 1 ? piece.subarray(0, piece.lastIndexOf("}") + 1) : piece;
    const line =
      parse(piece) ?? (SHORT.test(piece.toString("latin1", complete.length)) ? parse(complete) : undefined);
    const torn = line === undefined && index < pieces.length - 1 && !piece.some((byte) => byte < 0x20);
    if (torn || piece.length === 0) return [];
    return [{ offset: start + from, bytes: piece.length, line: line ?? ("unreadable" as const) }];
  });
}

function parse(bytes: Buffer): Line | undefined {
  if (bytes.length < CRC_DIGITS + 3 || bytes[CRC_DIGITS] !== 0x20) return undefined;
  const body = bytes.subarray(CRC_DIGITS + 1);
  const crc = crc32(body).toString(16).padStart(CRC_DIGITS, "0");
  if (bytes.toString("latin1", 0, CRC_DIGITS) !== crc) return undefined;
  try {
    return JSON.parse(body.toString()) as Line;
  } catch {
    return undefined;
  }
}

function isCheck(op: Op): boolean {
  return op.s === undefined && op.p === undefined && op.d === undefined;
}

function holds(at: Reading, op: Op): boolean {
  const changed = at.changed.get(op.k);
  if (changed === undefined) return op.p === undefined && (op.b === undefined || op.b < at.first);
  return (op.b === undefined || op.b === changed) && !(op.p !== undefined && changed === 0);
}

/** Rules 7 and 8. */
function listHolds(at: Reading, lists: ModelTranscripts, op: TranscriptLine): boolean {
  return (isListed(at, op) || op.h !== undefined) && isAsDemanded(lists.get(placeOf(op.k, op.l)), op);
}

/** Whether the segment says by itself how a transcript is. */
function isListed({ listed, cleared }: Reading, { k, l }: TranscriptLine): boolean {
  return listed.has(placeOf(k, l)) || cleared.has(k);
}

function patched(known: Version | undefined, op: Op): Fields {
  if (known === undefined) throw new Violation(`a patch of ${op.k}, which is not there`);
  const fields: Record<string, unknown> = { ...known.fields, ...op.p };
  for (const name of op.u ?? []) delete fields[name];
  return fields;
}

function assertComputedFrom(known: Version | undefined, fields: Fields, op: Op): void {
  if (op.b === undefined || !("prev" in (op.s ?? op.p ?? {}))) return;
  const found = JSON.stringify(known?.fields["token"] ?? null);
  const base = JSON.stringify(fields["prev"]);
  if (base !== found) throw new Violation(`${op.k} was computed from ${base}, but ${found} was there`);
}

function assertTurns({ changed, lists, after, transcripts, revision }: Commit): void {
  for (const key of new Set([...changed, ...lists.map((list) => list.key)])) {
    const said = after.get(key)?.fields[TURNS];
    const length = lengthOf(transcripts.get(placeOf(key, TURNS)));
    if (said !== undefined && said !== length)
      throw new Violation(
        `${key} has ${length} turns as of revision ${revision}, and says ${JSON.stringify(said)}`,
      );
  }
}

function assertSum({ changed, after, revision }: Commit): void {
  if (!changed.includes(FROM) && !changed.includes(TO)) return;
  const sum = Number(after.get(FROM)?.fields["tokens"]) + Number(after.get(TO)?.fields["tokens"]);
  if (sum !== TOTAL) throw new Violation(`${FROM} and ${TO} add up to ${sum} as of revision ${revision}`);
}
