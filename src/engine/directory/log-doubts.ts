/**
 * What a log that cannot be read whole leaves in doubt, and what may be said of it even so.
 *
 * Behind a gap any session may have been changed, so of every session the latest state is in doubt until a process that had
 * read those bytes has checkpointed the segment, or a doctor has decided. What proves the contrary is looked for each
 * time: a change in a segment behind the damage, a file that is newer than all that the log mentions, or that a power cut left
 * the bytes, so that nobody was ever told of them.
 *
 * All of this only reads, so a crash leaves nothing behind.
 */
import { SessionStoreError } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import type { Layout } from "../../format/layout.js";
import type { DurableMark } from "../../format/log-line.js";
import type { LogTail } from "../../log/log-tail.js";
import type { Segment } from "../../log/segment.js";
import type { MentionedChange, SegmentLedger } from "../../log/segment-ledger.js";
import { ALL } from "../../log/behind-gap.js";
import { inLedger } from "../../log/transcript-verdict.js";
import type { ColdSessions } from "./cold-sessions.js";
import { durableBytes, readMark } from "./durable-mark.js";
import type { SessionState, SessionTable } from "./session-table.js";
import { highestIn } from "./transcripts/highest-chunk-revision.js";

export interface LogDoubtsOptions {
  readonly fs: FileSystem;
  readonly layout: Layout;
  /** The path that was opened, absolute. */
  readonly path: string;
}

export class LogDoubts {
  /** Number of the highest damaged segment, 0 if there is none; undefined: find out. */
  #lastGap: number | undefined = 0;
  /** How far the log was durable before this process read it. */
  #mark: DurableMark | undefined;

  constructor(
    private readonly options: LogDoubtsOptions,
    private readonly tail: LogTail,
    private readonly table: SessionTable,
    private readonly cold: ColdSessions,
  ) {}

  /** Reads how far the log was durable before: what is missing of that was cut off. The log must be read on behind it. */
  readMark(): void {
    this.#mark = readMark(this.options.fs, this.options.layout);
  }

  /** How many bytes of a segment were durable before this process read it, as far as that is known. */
  durableBytes(segment: Segment): number {
    return durableBytes(this.#mark, segment);
  }

  /** Number of the highest live segment of which this process cannot read all, so that changes may be hidden; 0 for none. */
  get damagedSegment(): number {
    return (this.#lastGap ??= this.tail.segments.findLast((segment) => this.isDamaged(segment))?.number ?? 0);
  }

  /** Live segments that this process cannot read whole, lowest first. */
  damagedSegments(): Segment[] {
    return this.tail.segments.filter((segment) => this.isDamaged(segment));
  }

  isDamaged(segment: Segment): boolean {
    return segment.damaged && !this.isLeftByPowerCut(segment);
  }

  /** Whether other processes could not read a live segment whole that this one has read: they wait for its files. */
  get areOfOthers(): boolean {
    return this.tail.segments.some(({ ledger }) => ledger.sealedGap !== undefined);
  }

  /**
   * Whether what this process knows of a session may have been overtaken by a change that it cannot read. What was looked up
   * in memory before this call may be outdated after it.
   */
  isInDoubt(key: string): boolean {
    const damaged = this.damagedSegment;
    if (damaged === 0) return false;
    if (this.table.statesFrom(damaged + 1, key).length > 0) return false;
    return !this.#isMended();
  }

  /** The same of a transcript. */
  isTranscriptInDoubt(key: string, name: string): boolean {
    const damaged = this.damagedSegment;
    if (damaged === 0) return false;
    for (const { number, ledger } of this.tail.segments)
      if (number > damaged && inLedger(ledger, key, name) !== undefined) return false;
    return !this.#isMended();
  }

  /**
   * The latest change of a transcript that is behind bytes which cannot be read, if it counts; undefined if none is.
   * @param name Undefined: of any transcript of the session.
   */
  transcriptBehind(key: string, name: string | undefined): MentionedChange | undefined {
    let latest: MentionedChange | undefined;
    if (this.damagedSegment === 0) return latest;
    for (const { ledger } of this.damagedSegments()) {
      const behind = ledger.transcriptsBehind.get(key);
      if (behind === undefined) continue;
      const changes = name === undefined ? [...behind.values()] : [behind.get(name), behind.get(ALL)];
      for (const change of changes) if ((change?.revision ?? 0) > (latest?.revision ?? 0)) latest = change;
    }
    return latest;
  }

  /** Why a transcript of a session cannot be read. */
  unreadableTranscript(key: string, revision?: number): SessionStoreError {
    return this.#unreadable("session_damaged", key, revision);
  }

  /** Another process may have checkpointed the damaged segments since; nothing else tells of that in a log at rest. */
  #isMended(): boolean {
    this.tail.dropCheckpointed();
    return this.damagedSegment === 0;
  }

  /**
   * Whether a power cut left the bytes that cannot be read: there are NUL bytes among them, nothing was written since the
   * system started, no segment follows, and no file knows of a change behind them, for a file is never written before its
   * record is durable. Then all who could have read these bytes are dead, and nobody was told that they are durable.
   */
  isLeftByPowerCut(segment: Segment): boolean {
    const { ledger, identity, zeros } = segment;
    if (!zeros || ledger.gap === undefined || ledger.sealedGap !== undefined) return false;
    if (segment !== this.tail.active || this.tail.isFollowed(segment)) return false;
    if (identity.modifiedAt >= this.options.fs.bootedAt()) return false;
    if (this.durableBytes(segment) > ledger.gap) return false;
    const behind = segment.firstRevision + ledger.gap;
    if (this.#transcriptsKnow(ledger, behind)) return false;
    return [...ledger.behind.keys(), ...ledger.changed.keys()].every((key) => {
      const file = this.cold.readFile(key);
      return file.status !== "present" || file.revision < behind;
    });
  }

  #transcriptsKnow({ transcripts, transcriptsBehind }: SegmentLedger, revision: number): boolean {
    const { fs, layout } = this.options;
    for (const key of new Set([...transcripts.keys(), ...transcriptsBehind.keys()]))
      if (highestIn(fs, layout.sessionFolder(key)) >= revision) return true;
    return false;
  }

  /** Enters it as a gap if what stands behind the last newline of a segment is no beginning of a line. */
  lookAtEnd(segment: Segment): void {
    if (!this.tail.isTornAtEnd(segment)) this.tail.gapAtEnd(segment);
  }

  /** Sessions that records behind unreadable bytes change, with the revision that the last one has, if it counts. */
  mentioned(): Map<string, number> {
    const mentioned = new Map<string, number>();
    for (const { ledger } of this.damagedSegments())
      for (const [key, revision] of ledger.behind) mentioned.set(key, revision);
    return mentioned;
  }

  /**
   * Of a session in doubt, the newer one of what the log and its file say. Others may write the file at any moment.
   * @throws `session_damaged` when a change of the session is behind bytes that cannot be read.
   */
  read(key: string): SessionState {
    const behind = this.mentioned().get(key);
    const known = this.table.hot.get(key);
    if (behind === undefined && known === undefined) return this.cold.read(key);
    const file = this.cold.readFile(key);
    const written = file.status === "present" ? file.revision : 0;
    if (file.status === "present" && written >= (behind ?? 0) && written > (known?.revision ?? 0))
      return this.cold.stateOf(key, file);
    if (behind === undefined && known !== undefined) return known;
    throw this.#unreadable("session_damaged", key, behind);
  }

  /** Why an op that builds on the latest state of a session in doubt is refused, or a watch, which is about all. */
  refusal(key?: string): SessionStoreError {
    return this.#unreadable("log_damaged", key, key === undefined ? undefined : this.mentioned().get(key));
  }

  #unreadable(
    code: "session_damaged" | "log_damaged",
    key: string | undefined,
    revision?: number,
  ): SessionStoreError {
    const segment = this.tail.segments.find(({ number }) => number === this.damagedSegment);
    const { path = this.options.layout.log, number, ledger } = segment ?? {};
    const session = `session ${JSON.stringify(key)}`;
    const change = key === undefined ? "changes" : `a change of ${session}`;
    const what = code === "session_damaged" ? `the latest state of ${session} is` : `${change} may be`;
    const reason =
      code === "session_damaged" && `its latest state is behind damage of the log, at byte ${ledger?.gap}`;
    return new SessionStoreError(
      code,
      `${path} is damaged at byte ${ledger?.gap}, and ${what} behind that. A process that read it before mends this within ` +
        "seconds. If none is running, put the session as a whole, delete it, or stop all processes and mend the log: sessiondir " +
        `mend --store ${this.options.path}, or open the store with \`soleProcess: true\`.`,
      { data: { key, path, segment: number, offset: ledger?.gap, revision, ...(reason && { reason }) } },
    );
  }

  /** After a doctor's work: damaged segments are like others. */
  settle(segments: readonly Segment[]): void {
    for (const { ledger } of segments) {
      ledger.sealedGap ??= ledger.gap;
      ledger.gap = undefined;
      ledger.behind.clear();
      ledger.transcriptsBehind.clear();
    }
    this.#lastGap = 0;
  }

  /** What the tail has just read may make a segment damaged, or whole. */
  lookAgain(): void {
    this.#lastGap = undefined;
  }

  /** A segment was let go of. */
  dropped({ number }: Segment): void {
    if (this.#lastGap === number) this.#lastGap = undefined;
  }

  /** The log is read anew. */
  rewound(): void {
    this.#lastGap = 0;
  }
}
