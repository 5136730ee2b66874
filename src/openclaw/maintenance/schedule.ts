/**
 * When a store is looked after: at the first write of this process, then after 100 writes but at most once a second, or at
 * the first write after 30 seconds. In between a write pays for counting it, about a microsecond; a run takes some
 * milliseconds, so even under full load it is about 1 % of the time. One run of a store at a time in a process.
 */
import type { Runtime } from "../../runtime.js";

const WRITES_MAX = 100;
const INTERVAL_MS_MIN = 1000;
const INTERVAL_MS_MAX = 30_000;

interface State {
  writes: number;
  ranAt: number;
  running: Promise<unknown> | undefined;
}

export class MaintenanceSchedule {
  readonly #states = new Map<string, State>();

  constructor(private readonly runtime: Pick<Runtime, "monotonic">) {}

  noteWrite(store: string): void {
    const state = this.#states.get(store);
    if (state !== undefined) state.writes++;
  }

  isDue(store: string): boolean {
    const state = this.#states.get(store);
    if (state === undefined) return true;
    if (state.running !== undefined) return false;
    const sinceMs = this.runtime.monotonic() - state.ranAt;
    return sinceMs >= INTERVAL_MS_MAX || (state.writes >= WRITES_MAX && sinceMs >= INTERVAL_MS_MIN);
  }

  /** Runs when the last run has ended. */
  async run<R>(store: string, work: () => Promise<R>): Promise<R> {
    const state = this.#states.get(store) ?? { writes: 0, ranAt: 0, running: undefined };
    this.#states.set(store, state);
    while (state.running !== undefined) await state.running;
    const running = work();
    state.running = running.then(
      () => {},
      () => {},
    );
    state.writes = 0;
    state.ranAt = this.runtime.monotonic();
    try {
      return await running;
    } finally {
      state.running = undefined;
    }
  }
}
