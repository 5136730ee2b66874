/**
 * Replays the live log for a watch: reads it from its beginning with a tail of its own, and keeps the changes above a
 * revision, commit by commit.
 *
 * What it gives out has no gap: it ends with `revision_too_old` where the log no longer begins early enough, or where
 * changes may be hidden in bytes that cannot be read. It only reads, so a crash leaves nothing behind.
 */
import { SessionStoreError } from "../../errors.js";
import { isChange } from "../../format/log-line.js";
import { LogTail, type LogObserver } from "../../log/log-tail.js";
import type { Segment } from "../../log/segment.js";
import type { Committed } from "../../log/verdict.js";
import { storedAfter, type SessionLog } from "./session-log.js";
import { SessionState } from "./session-table.js";
import { newsOf, type TranscriptNews } from "./transcripts/transcript-news.js";

/** What one commit made of its sessions, and did to its transcripts. */
export type Commit = readonly (SessionState | TranscriptNews)[];

export function revisionOf(commit: Commit): number {
  return commit[0]?.revision ?? 0;
}

export class Replay implements LogObserver {
  readonly tail: LogTail;
  #commits: Commit[] = [];
  #states = new Map<string, SessionState>();
  #epochs = 0;
  #after: number | undefined;
  readonly #gaps: Segment[] = [];

  constructor(
    private readonly log: SessionLog,
    private readonly since: number,
  ) {
    const { fs, layout, storeId } = log.options;
    this.tail = new LogTail(fs, layout, storeId, "read", this);
  }

  /** Whole segments went while this process was reading: there may be a gap, so begin anew. */
  get outrun(): boolean {
    return this.#epochs > 1;
  }

  /** @param more Whether the log goes on behind what was read. */
  take(more: boolean): Commit[] {
    this.#assertBegins();
    this.#assertWhole(more);
    this.#assertAllIsThere();
    const commits = this.#commits;
    this.#commits = [];
    return commits;
  }

  standsAt({ number, position }: Segment): boolean {
    return this.tail.active.number === number && this.tail.active.position === position;
  }

  /** At the end of a segment: this process had read it up to there before, so what is missing now was damaged since. */
  assertReaches(number: number, position: number): void {
    const { active } = this.tail;
    if (active.number === number && active.position < position)
      throw this.#missing("cannot be read for", true);
  }

  /** What stands behind the last newline may be a gap that only a writer has looked for. */
  assertWholeAtEnd(): void {
    const { doubts, active } = this.log;
    if (doubts.damagedSegment === active.number) throw this.#missing("cannot be read for", true);
  }

  committed(_segment: Segment, committed: Committed): void {
    const { record, revision, transcripts = [] } = committed;
    const commit: (SessionState | TranscriptNews)[] = [];
    for (const op of record.ops) {
      if (!isChange(op)) continue;
      const stored = storedAfter(op, this.#states.get(op.k));
      const state = new SessionState(op.k, revision, record.t, stored, this.log.options.decode);
      this.#states.set(op.k, state);
      commit.push(state);
    }
    for (const effect of transcripts)
      if (effect.before !== effect.after) commit.push(newsOf(effect, committed));
    if (revision > this.since && commit.length > 0) this.#commits.push(commit);
  }

  entered(): void {
    this.#states = new Map(); // rule 4: every segment can be understood by itself
  }

  rewound(): void {
    this.#epochs++;
    this.#states = new Map();
  }

  dropped(): void {}

  beginningOf(segment: Segment): { readonly firstRevision: number; readonly after: number } | undefined {
    return this.log.beginningOf(segment);
  }

  foundGap(segment: Segment): void {
    this.#gaps.push(segment);
  }

  /** The lowest segment that was read must begin no later than right behind `since`. */
  #assertBegins(): void {
    const ledger = this.tail.segments[0]?.ledger;
    if (ledger?.firstRevision !== undefined) this.#after ??= ledger.after;
    if ((this.#after ?? 0) > this.since) throw this.#missing("no longer has", false);
  }

  /** Changes may be hidden in bytes that cannot be read, unless a power cut left those. */
  #assertWhole(more: boolean): void {
    for (const segment of this.#gaps) {
      const known = this.log.segments.find(({ number }) => number === segment.number);
      if (!segment.damaged || (known !== undefined && this.log.doubts.isLeftByPowerCut(known))) continue;
      const next = this.tail.segments.find(({ number }) => number === segment.number + 1);
      if (next === undefined ? !more : next.ledger.after > this.since)
        throw this.#missing("cannot be read for", true);
    }
  }

  /** What this process had read may have been damaged since into what looks like a write that was cut short, and never counted. */
  #assertAllIsThere(): void {
    for (const { number, position, damaged, ledger } of this.tail.segments) {
      const known = this.log.segments.find((segment) => segment.number === number);
      if (damaged || known === undefined || known.damaged || known.position !== position) continue;
      if (known.ledger.commits !== ledger.commits) throw this.#missing("cannot be read for", true);
    }
  }

  #missing(why: string, damaged: boolean): SessionStoreError {
    const { revision } = this.log;
    return new SessionStoreError(
      "revision_too_old",
      `the log ${why} the changes right after revision ${this.since}: list the sessions, then watch since ` +
        `${revision}, the revision from before the listing.`,
      { data: { since: this.since, revision, ...(damaged && { damaged }) } },
    );
  }
}
