/**
 * Processes that stand still in the middle of an operation, and wake up with what they still see of the past: the first
 * calls that a sleeper makes when it goes on find the disk as it was when it fell asleep.
 */
import type { SimulatedProcess } from "./process.js";
import { turn } from "./turn.js";

interface Sleeper {
  readonly process: SimulatedProcess;
  /** Step at which it wakes up. */
  readonly at: number;
  readonly goOn: () => void;
}

export class Sleepers {
  #sleepers: Sleeper[] = [];

  /**
   * A process falls asleep until the step to which it is suspended.
   *
   * @param asOf How long the log's history is.
   * @param calls How many calls of it will see the past.
   * @param goOn What it does first when it wakes up.
   */
  add(process: SimulatedProcess, asOf: number, calls: number, goOn: () => void): void {
    process.asOf = asOf;
    process.fs.fallAsleep(calls);
    this.#sleepers.push({ process, at: process.suspendedUntil, goOn });
  }

  /** Every process whose time has come goes on. */
  async wake(step: number): Promise<void> {
    if (this.#sleepers.length === 0) return;
    const due = this.#sleepers.filter(({ at, process }) => !process.dead && at <= step);
    this.#sleepers = this.#sleepers.filter((sleeper) => !due.includes(sleeper) && !sleeper.process.dead);
    if (due.length === 0) return;
    for (const { goOn, process } of due) if (!process.dead) goOn();
    await turn();
    for (const { process } of due) {
      process.fs.wakeUp();
      process.asOf = undefined;
    }
  }
}
