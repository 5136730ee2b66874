/**
 * What others do in the middle of a process's work: between two steps of work in slices, where a real process gives the
 * event loop its turn; or between two blocking calls, where they can only be put on the disk as done.
 */
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import type { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import { STORE, type Machine } from "../../support/processes.js";

let seeds = 1_000_000;

class SteppingRuntime extends ManualRuntime {
  /** While it is there, every slice is a single step, and this is called behind each. */
  between: (() => Promise<unknown>) | undefined;

  override monotonic(): number {
    if (this.between !== undefined) this.advance(100);
    return super.monotonic();
  }

  override async yieldToEventLoop(): Promise<void> {
    await this.between?.();
  }
}

export interface SteppingMachine extends Machine {
  readonly runtime: SteppingRuntime;
}

/** A process that has not opened the store yet. */
export function bootStepping(disk: SimulatedDisk, name: string): SteppingMachine {
  return { fs: disk.mount(name), runtime: new SteppingRuntime({ seed: ++seeds }), warnings: [] };
}

/** Does something behind the step with this number, once; tells whether there was such a step. */
export function atStep(
  { runtime }: SteppingMachine,
  at: number,
  work: () => Promise<unknown>,
): { reached: boolean } {
  let steps = 0;
  const outcome = { reached: false };
  runtime.between = async () => {
    if (++steps !== at) return;
    outcome.reached = true;
    const { between } = runtime;
    runtime.between = undefined;
    await work();
    runtime.between = between;
  };
  return outcome;
}

/**
 * Makes a disk what it is in a future that began as its clone.
 * @param sealed How the segment at this path ended, which is gone in that future: who has it open reads that.
 */
export function arrive(disk: SimulatedDisk, future: SimulatedDisk, segment: string, sealed?: Buffer): void {
  if (sealed !== undefined) disk.writeRaw(segment, sealed);
  const there = future.tree(STORE);
  for (const path of Object.keys(there)) {
    if (path.endsWith("/")) disk.makeDirectory(path.slice(0, -1));
    else disk.writeRaw(path, future.readRaw(path)!);
  }
  for (const path of Object.keys(disk.tree(STORE)).reverse()) {
    if (!(path in there)) disk.removeRaw(path.replace(/\/$/, ""));
  }
}
