/** One process ages a store: its segments come and go, which everybody else finds out later. */
import type { SimulatedProcess } from "./process.js";
import type { Operation } from "./schedule.js";
import { turn } from "./turn.js";

const CALLS_MAX = 600;

/**
 * Writes and checkpoints, `rounds` times in turn.
 *
 * @param operate Begins an operation of the process.
 * @param goOn Lets the process go on by one call, unless it is suspended.
 */
export async function age(
  process: SimulatedProcess,
  rounds: number,
  operate: (operation: Operation) => void,
  goOn: () => Promise<void>,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    operate({ kind: "update", key: (round * 300) % 1000, variant: 3 + round });
    await turn();
    operate({ kind: "checkpoint", key: 0, variant: 0 });
    await turn();
    for (let call = 0; call < CALLS_MAX && process.waiting.length > 0; call++) {
      await goOn();
      if (process.dead) return;
    }
  }
}
