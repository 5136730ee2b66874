/**
 * The live log as a reader sees it who was not there before: what it adds up to, and where it cannot be read.
 *
 * It reads as every process does, with the same tail, and keeps what a process would not: each gap, each line that counts for
 * nothing, and what was changed by segments that are gone meanwhile. What stops the tail is kept as `error`.
 */
import type { FileSystem } from "../../fs/file-system.js";
import type { Layout } from "../../format/layout.js";
import { isChange, type DurableMark } from "../../format/log-line.js";
import type { StoredObject } from "../../format/stored-value.js";
import { LogTail, type LogObserver } from "../../log/log-tail.js";
import type { Segment } from "../../log/segment.js";
import type { Committed } from "../../log/verdict.js";
import { PartFiles } from "../../engine/directory/catalog/part-file.js";
import { beginningBehind, type CatalogSource } from "../../engine/directory/catalog-loader.js";
import { durableBytes, readMark } from "../../engine/directory/durable-mark.js";
import { storedAfter } from "../../engine/directory/session-log.js";
import { SessionState } from "../../engine/directory/session-table.js";

export interface PlaceInLog {
  readonly path: string;
  readonly segment: number;
  readonly offset: number;
  readonly reason: string;
}

export class LogLook implements LogObserver {
  /** Sessions that a live segment changed; `stored` is undefined for one that was deleted. */
  readonly states = new Map<string, SessionState>();
  /** Transcripts that a live segment mentions: key, NUL, name. */
  readonly transcripts = new Set<string>();
  readonly gaps: PlaceInLog[] = [];
  readonly malformed: PlaceInLog[] = [];
  /** How far the log is said to be durable. */
  readonly mark: DurableMark | undefined;
  /** What stopped the reading. */
  error: unknown;
  readonly #tail: LogTail;
  readonly #source: CatalogSource;

  constructor(
    private readonly fs: FileSystem,
    layout: Layout,
    storeId: string,
  ) {
    this.#tail = new LogTail(fs, layout, storeId, "read", this);
    const parts = new PartFiles(fs, layout);
    this.#source = { fs, layout, storeId, parts, onWarning: () => {}, updatedAtOf: () => 0 };
    this.mark = readMark(fs, layout);
    this.catchUp();
  }

  /** Reads what was appended since. */
  catchUp(): void {
    if (this.error !== undefined) return;
    try {
      this.#tail.catchUp();
    } catch (error) {
      this.error = error;
    }
  }

  get segments(): readonly Segment[] {
    return this.#tail.segments;
  }

  /** Of the latest commit that was read; 0 if there is none. */
  get revision(): number {
    return this.segments.at(-1)?.ledger.lastRevision ?? 0;
  }

  /** Bytes behind the last newline of the segment that is appended to. */
  tornTail(): { readonly path: string; readonly offset: number; readonly bytes: number } | undefined {
    const active = this.segments.at(-1);
    if (active === undefined || active.ledger.sealed) return undefined;
    const { size } = this.fs.fstat(active.fd);
    const { path, position } = active;
    return size > position ? { path, offset: position, bytes: size - position } : undefined;
  }

  close(): void {
    this.#tail.close();
  }

  committed(segment: Segment, { record, revision, transcripts = [] }: Committed): void {
    for (const op of record.ops) {
      if (!isChange(op)) continue;
      const before = this.states.get(op.k);
      const own = before !== undefined && before.revision >= segment.firstRevision ? before : undefined;
      const stored = storedAfter(op, own);
      this.states.set(op.k, new SessionState(op.k, revision, record.t, stored, decodeNothing));
    }
    for (const { k, l } of record.transcripts ?? []) this.transcripts.add(`${k}\0${l}`);
    void transcripts;
  }

  entered(): void {}

  dropped(): void {}

  rewound(): void {
    this.gaps.length = 0;
    this.malformed.length = 0;
  }

  foundGap({ path, number }: Segment, offset: number, reason: string): void {
    this.gaps.push({ path, segment: number, offset, reason });
  }

  foundMalformed({ path, number }: Segment, offset: number, reason: string): void {
    this.malformed.push({ path, segment: number, offset, reason });
  }

  beginningOf({ number }: Segment): { readonly firstRevision: number; readonly after: number } | undefined {
    const before = this.segments.find((segment) => segment.number === number - 1);
    if (before === undefined || before.endUnknown) return beginningBehind(this.#source, number - 1);
    return { firstRevision: before.nextFirstRevision, after: before.ledger.lastRevision };
  }

  durableBytes(segment: Segment): number {
    return durableBytes(this.mark, segment);
  }
}

/** Only stored forms are looked at. */
function decodeNothing(_stored: StoredObject): object {
  return {};
}
