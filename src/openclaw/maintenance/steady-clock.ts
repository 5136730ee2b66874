/**
 * Whether the wall clock can be believed when it says that everything is old.
 *
 * A clock that jumps ahead by a month makes every session look unused. So after a jump of more than an hour that the
 * monotonic clock did not see, nothing is judged by its age for an hour: time enough for the clock to be put right. (After
 * a machine slept, the clock looks the same; then removing waits an hour for nothing.) A jump back removes nothing.
 */
import type { Runtime } from "../../runtime.js";

const JUMP_MS = 3600 * 1000;
const SETTLING_MS = 3600 * 1000;

export class SteadyClock {
  #offset: number;
  #settledAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly runtime: Runtime) {
    this.#offset = runtime.now() - runtime.monotonic();
  }

  /** Looks at both clocks. Call it often: only between two calls can a jump be noticed. */
  isSteady(): boolean {
    const monotonic = this.runtime.monotonic();
    const offset = this.runtime.now() - monotonic;
    const jump = offset - this.#offset;
    this.#offset = offset;
    if (jump > JUMP_MS) this.#settledAt = monotonic + SETTLING_MS;
    else if (jump < -JUMP_MS) this.#settledAt = monotonic; // put right
    return monotonic >= this.#settledAt;
  }
}
