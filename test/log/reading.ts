/** A reader of a log that notes down everything it is told, and the smallest disk that has a log to read. */
import { expect } from "vitest";
import { Layout } from "../../src/format/layout.js";
import type { FileSystem } from "../../src/fs/file-system.js";
import { LogTail, type LogObserver } from "../../src/log/log-tail.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { FIRST_REVISION, headerLine } from "./segments.js";

export const layout = new Layout("/s");

/** Of the first segment. */
export const HEADER = headerLine(1, FIRST_REVISION);
/** Revision of the first line behind the header. */
export const NEXT = FIRST_REVISION + HEADER.length;

/** Reads a log and notes down everything that it is told. */
export class Reading implements LogObserver {
  readonly told: string[] = [];
  readonly tail: LogTail;

  constructor(
    fs: FileSystem,
    bufferBytes?: number,
    /** Where a segment begins whose header cannot be read. */
    public beginning?: { readonly firstRevision: number; readonly after: number },
  ) {
    this.tail = new LogTail(fs, layout, "id", "read", this);
    if (bufferBytes !== undefined) this.tail.buffer = Buffer.alloc(bufferBytes);
  }

  /** Reads to the end, or up to a seal that takes back what was read before it. */
  read(): void {
    try {
      this.tail.catchUp();
    } catch (error) {
      expect(error).toMatchObject({ code: "log_damaged" });
      this.#contradicted = true;
    }
  }

  beginningOf = (): typeof this.beginning => this.beginning;

  #contradicted = false;

  /** Everything told, and where it stands. */
  get outcome(): object {
    const { active, revision } = this.tail;
    const { sealed, sealedGap, wantedFirstRevision, changed, gap, behind } = active.ledger;
    return {
      told: this.told,
      contradicted: this.#contradicted,
      revision,
      sealed,
      sealedGap,
      wantedFirstRevision,
      changed: [...changed],
      gap,
      behind: [...behind],
      position: active.position,
    };
  }

  committed: LogObserver["committed"] = (segment, { record, revision }) =>
    void this.told.push(`${segment.number}: ${record.n} is ${revision}`);
  sealed: Required<LogObserver>["sealed"] = (segment) => void this.told.push(`sealed ${segment.number}`);
  entered: LogObserver["entered"] = (segment) => void this.told.push(`entered ${segment.number}`);
  dropped: LogObserver["dropped"] = (segment) => void this.told.push(`dropped ${segment.number}`);
  foundGap: Required<LogObserver>["foundGap"] = (segment, offset) =>
    void this.told.push(`gap in ${segment.number} at ${offset}${segment.zeros ? ", zeros" : ""}`);
  foundMalformed: Required<LogObserver>["foundMalformed"] = (segment, offset) =>
    void this.told.push(`malformed in ${segment.number} at ${offset}`);
  rewound = (): void => {};
}

/** A disk whose log is these bytes. */
export function diskWith(bytes: Uint8Array): SimulatedDisk {
  const disk = new SimulatedDisk();
  disk.writeRaw(layout.segment(1), bytes);
  disk.makeDirectory(layout.stage);
  return disk;
}

/** What a writer adds to the first segment. */
export function append(disk: SimulatedDisk, bytes: Buffer): void {
  const fs = disk.mount("writer");
  fs.write(fs.open(layout.segment(1), "append"), bytes, 0, bytes.length);
}
