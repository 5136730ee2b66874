/**
 * The end of the log, for processes that write: they append there, seal the segment, make the next one, and make it durable.
 *
 *   O4  Only a process that has read the log to its end writes there.
 *   D2  Behind bytes that it cannot read a process appends nothing but a seal.
 *
 * A crash leaves a torn line, to which the next line is glued, or a staging folder that a checkpoint removes.
 */
import { SessionStoreError } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import type { Layout } from "../../format/layout.js";
import { LINE_BYTES_MAX } from "../../format/limits.js";
import type { LogRecord } from "../../format/log-line.js";
import type { StoredObject } from "../../format/stored-value.js";
import type { LogSyncer } from "../../log/log-syncer.js";
import type { LogTail } from "../../log/log-tail.js";
import type { LogWriter, SealToWrite } from "../../log/log-writer.js";
import { makeNextSegment } from "../../log/next-segment.js";
import type { Segment } from "../../log/segment.js";
import type { Committed } from "../../log/verdict.js";
import type { Runtime } from "../../runtime.js";
import type { LogDoubts } from "./log-doubts.js";

/** Bytes that a segment may have had behind its mark, which is raised twice a second: far more than a disk takes in that time. */
const UNSAID_BYTES_MAX = 2 ** 30;
/** Losing the race for the next segment is progress of another process, so this bounds only a broken folder. */
const SEGMENT_ATTEMPTS_MAX = 200;

export interface LogEndOptions {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly runtime: Runtime;
  readonly storeId: string;
}

export class LogEnd {
  #making: Promise<void> | undefined;

  constructor(
    private readonly options: LogEndOptions,
    private readonly tail: LogTail,
    private readonly writer: LogWriter,
    private readonly syncer: LogSyncer,
    private readonly doubts: LogDoubts,
  ) {}

  /** The next record of this process, as of now: every attempt to append takes a new one (O2). */
  newRecord(segment: Segment, what: Pick<LogRecord, "o" | "ops" | "transcripts">): LogRecord {
    return {
      w: this.writer.writerId,
      n: this.writer.nextNumber(),
      g: segment.number,
      t: Math.max(0, Math.trunc(this.options.runtime.now())),
      ...what,
    };
  }

  /** Appends a record of this process; see {@link LogWriter.append}. */
  append(
    segment: Segment,
    record: LogRecord,
    after: readonly (StoredObject | undefined)[],
    onWritten?: () => void,
  ): Committed | undefined {
    return this.writer.append(segment, record, after, onWritten);
  }

  /**
   * Resolves when everything appended to the segment before this call is durable, with the segment itself.
   * @throws `durability_unknown`, `store_gone`, `log_damaged`
   */
  sync(segment: Segment): Promise<void> {
    return this.syncer.sync(segment);
  }

  /** Why this process can make nothing durable any more. */
  get failure(): SessionStoreError | undefined {
    return this.syncer.failure;
  }

  /** Reads the log to its end, and makes the next segment if the last one is sealed. For writers only (O4). */
  async becomeActive(): Promise<Segment> {
    for (let attempt = 0; attempt < SEGMENT_ATTEMPTS_MAX; attempt++) {
      this.tail.catchUp();
      const segment = this.tail.active;
      if (segment.cutAt !== undefined && !segment.ledger.sealed) this.writer.sealCut(segment);
      if (!segment.ledger.sealed) return segment;
      const { fs, layout, runtime, storeId } = this.options;
      const { tail, syncer } = this;
      // Of a segment that cannot be read whole nobody here knows its last commit; of one that was cut off, no other process.
      const cut = segment.cutAt !== undefined && segment.ledger.sealedGap !== undefined;
      const unknown = cut || this.doubts.isDamaged(segment);
      const after = unknown ? segment.nextFirstRevision - 1 : segment.ledger.lastRevision;
      const maker = { fs, layout, runtime, storeId, tail, syncer, after };
      this.#making ??= makeNextSegment(maker, segment).finally(() => {
        this.#making = undefined;
      });
      await this.#making;
    }
    throw new SessionStoreError("log_damaged", `${this.options.layout.log} cannot be given a next segment`, {
      data: { path: this.options.layout.log },
    });
  }

  /**
   * Whether nothing may be appended to a segment but a seal: for this process cannot read it all, or so much torn
   * stands at its end that a record behind it might be too far from the last newline. Behind what a power cut left not even
   * a seal is: the segment ends there, and the next one says so. It is made at once or not at all, whereas a seal could be torn,
   * and then its segment would have been written since the system was started.
   */
  sealInstead(segment: Segment): SealToWrite | undefined {
    if (segment.undecided > 0 && !segment.damaged) this.doubts.lookAtEnd(segment);
    const { gap } = segment.ledger;
    if (segment.cutAt !== undefined) this.writer.sealCut(segment);
    else if (gap !== undefined && this.doubts.isLeftByPowerCut(segment)) segment.end();
    else if (gap !== undefined) {
      // Others may have ended it, and a file that proves damage may be of the segment that they went on in: read that first.
      this.tail.catchUp();
      if (segment.ledger.sealed || this.tail.active !== segment) return undefined;
      // Files and other processes may have revisions up to where the segment ended before it was cut off.
      const bytes = this.doubts.durableBytes(segment);
      if (bytes <= segment.position) return { gap };
      return { gap, bytes, firstRevision: segment.firstRevision + bytes + UNSAID_BYTES_MAX };
    }
    return segment.undecided > LINE_BYTES_MAX ? {} : undefined;
  }

  /** Ends a segment; what this process could not read of it the seal says, unless the caller knows what it is to say. */
  seal(segment: Segment, seal = this.sealInstead(segment)): void {
    if (!segment.ledger.sealed && this.tail.active === segment) this.writer.seal(segment, seal);
  }

  /** A staging folder is gone: fenced by a checkpoint, or lost in a power cut. The latter needs a new segment. */
  async stageGone(segment: Segment): Promise<void> {
    await this.becomeActive();
    if (this.tail.active !== segment || segment.ledger.sealed) return;
    const { fs, layout } = this.options;
    const names = await fs.later.readdir(layout.stage);
    if (names.includes(segment.ledger.stage)) return;
    if (this.tail.active === segment) this.seal(segment);
  }

  /** Resolves when the syncs that were asked for are over, whatever became of them. */
  settled(): Promise<void> {
    return this.syncer.settled();
  }
}
