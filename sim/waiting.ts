/** Calls that wait to take effect, and to be answered: which of them a schedule means, and what lets them go on. */
import type { Deferred, SimulatedProcess } from "./process.js";
import { turn } from "./turn.js";

export interface Waiting {
  readonly process: SimulatedProcess;
  readonly deferred: Deferred;
}

/** The waiting call at a fraction of 1000 of all those of the processes that are eligible. */
export function pickWaiting(
  processes: readonly SimulatedProcess[],
  fraction: number,
  eligible: (process: SimulatedProcess) => boolean,
): Waiting | undefined {
  let total = 0;
  for (const process of processes) {
    if (!process.dead && eligible(process)) total += process.waiting.length;
  }
  let left = Math.floor((fraction * total) / 1000);
  for (const process of processes) {
    if (process.dead || !eligible(process)) continue;
    const deferred = process.waiting[left];
    if (deferred !== undefined) return { process, deferred };
    left -= process.waiting.length;
  }
  return undefined;
}

export function answer({ process, deferred }: Waiting): void {
  process.waiting.splice(process.waiting.indexOf(deferred), 1);
  deferred.answer();
}

/** One process goes on while all others stand still: for this many calls and timers, or until it has none. */
export async function runAlone(process: SimulatedProcess, calls: number): Promise<void> {
  for (let call = 0; call < calls && !process.dead; call++) {
    const [deferred] = process.waiting;
    if (deferred !== undefined) answer({ process, deferred });
    else if (!process.runtime.runNextTimer()) return;
    await turn();
  }
}

/** The oldest waiting call of every process is answered, round after round, until none is left or `stop` says so. */
export async function answerAll(processes: readonly SimulatedProcess[], stop: () => boolean): Promise<void> {
  for (let progress = true; progress && !stop();) {
    progress = false;
    for (const process of processes) {
      const [deferred] = process.waiting;
      if (deferred === undefined || process.dead) continue;
      progress = true;
      answer({ process, deferred });
      await turn();
    }
  }
}
