/**
 * Ctrl-C and its kin, as one AbortSignal.
 *
 * The first signal asks the command to stop: it lets go of what it holds and ends with 130. A second one, or ten
 * seconds of waiting, ends the program at once. Both are safe at any instruction, because everything that a store or a
 * migration does is; the next run goes on from what is there.
 */
import { EXIT } from "./failure.js";

/** How long a command may take to let go. Long enough for an fdatasync on a slow disk. */
const GRACE_MS = 10_000;

/** Reason of the signal. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  constructor(readonly by: "signal" | "reader") {
    super(by === "signal" ? "interrupted" : "nobody reads the output any more");
  }
}

export class Interruption {
  readonly #controller = new AbortController();
  readonly #onSignal = (): void => {
    if (this.signal.aborted) process.exit(EXIT.interrupted);
    setTimeout(() => process.exit(EXIT.interrupted), GRACE_MS).unref();
    this.stop(new Interrupted("signal"));
  };

  constructor() {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  stop(reason: Interrupted): void {
    this.#controller.abort(reason);
  }

  /** Signals end the program again as they do by default. */
  release(): void {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(name, this.#onSignal);
  }
}
