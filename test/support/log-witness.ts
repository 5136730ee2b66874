/**
 * Somebody who reads every line of the log the moment it was written, and so knows what really happened: which
 * state every commit made. What processes answer, and what a power cut leaves, is compared with that.
 *
 * The witness trusts `verdict.ts` and `log-tail.ts`, which have suites of their own.
 */
import { Layout } from "../../src/format/layout.js";
import type { LogOp } from "../../src/format/log-line.js";
import { applyPatch } from "../../src/format/stored-patch.js";
import type { StoredObject } from "../../src/format/stored-value.js";
import { LogTail, type LogObserver } from "../../src/log/log-tail.js";
import type { Committed } from "../../src/log/verdict.js";
import type { Segment } from "../../src/log/segment.js";
import type { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import type { SimulatedFileSystem } from "../../src/testing/simulated/file-system.js";
import { STORE } from "./processes.js";

export interface Known {
  readonly revision: number;
  readonly stored: StoredObject;
}

export type State = ReadonlyMap<string, Known>;

interface Commit {
  readonly revision: number;
  readonly after: State;
}

const TAKES_AWAY: ReadonlySet<string> = new Set(["unlink", "rename"]);

export class LogWitness implements LogObserver {
  /** Every commit, oldest first; the first one stands for the empty store. */
  readonly commits: Commit[];
  readonly #tail: LogTail;

  /** @param past What was witnessed before: of the disk that this one is a copy of, or before a power cut. */
  constructor(disk: SimulatedDisk, past: readonly Commit[] = [{ revision: 0, after: new Map() }]) {
    const format = JSON.parse(String(disk.readRaw(`${STORE}/.store/format.json`))) as { storeId: string };
    this.commits = [...past];
    this.#tail = new LogTail(disk.mount("witness"), new Layout(STORE), format.storeId, "read", this);
    this.look();
  }

  get revision(): number {
    return this.commits.at(-1)!.revision;
  }

  /** Revision that the log itself ends with: after a power cut it may be less than what was witnessed. */
  get logRevision(): number {
    return this.#tail.revision;
  }

  /** State as of the latest commit. */
  get state(): State {
    return this.commits.at(-1)!.after;
  }

  /** Reads on. To be called before anybody may have unlinked what was not read. */
  look(): void {
    this.#tail.catchUp();
    if (this.#tail.epoch > 1) throw new Error("the witness slept");
  }

  /** Looks before every call of a process after which something of the log may be gone. */
  follow(fs: SimulatedFileSystem): void {
    const before = fs.onCall;
    fs.onCall = (call) => {
      if (TAKES_AWAY.has(call.name)) this.look();
      return before?.(call);
    };
  }

  /** What was committed up to a revision: the past of the witness of a disk that lost the rest. */
  until(revision: number): Commit[] {
    return this.commits.filter((commit) => commit.revision <= revision);
  }

  /** State as of a revision that may lie between two commits. */
  stateAt(revision: number): State {
    return this.until(revision).at(-1)!.after;
  }

  committed(_segment: Segment, { record, revision }: Committed): void {
    if (revision <= this.revision) return; // known from the past
    const after = new Map(this.state);
    for (const op of record.ops) apply(after, op, revision);
    this.commits.push({ revision, after });
  }

  entered(): void {}
  dropped(): void {}
  rewound(): void {}
}

function apply(state: Map<string, Known>, op: LogOp, revision: number): void {
  if (op.d !== undefined) state.delete(op.k);
  else if (op.s !== undefined) state.set(op.k, { revision, stored: op.s });
  else if (op.p !== undefined) {
    const before = state.get(op.k);
    if (before === undefined) throw new Error(`a patch of ${op.k} without a session`);
    state.set(op.k, { revision, stored: applyPatch(before.stored, op.p, op.u ?? []) });
  }
}
