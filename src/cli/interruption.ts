/**
 * Ctrl-C and its kin, as one AbortSignal.
 *
 * The first signal is answered at once, whatever the command is doing: what was interrupted is said, the command is asked
 * to let go of what it holds, and the program ends with 130, with the command or without it (program.ts). A second signal
 * ends it there and then. Both are safe at any instruction, because everything that a store or a migration does is; the next
 * run goes on from what is there.
 */
import { EXIT } from "./failure.js";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Reason of the signal. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  constructor(readonly by: "signal" | "reader") {
    super(by === "signal" ? "interrupted" : "nobody reads the output any more");
  }
}

export class Interruption {
  readonly #controller = new AbortController();
  #held = false;
  readonly #onSignal = (name: NodeJS.Signals): void => {
    if (this.#held && name === "SIGINT") return;
    if (this.signal.aborted) process.exit(EXIT.interrupted);
    this.stop(new Interrupted("signal"));
  };

  constructor() {
    for (const name of SIGNALS) process.on(name, this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  stop(reason: Interrupted): void {
    this.#controller.abort(reason);
  }

  /** Leaves Ctrl-C to another program that has the terminal meanwhile. */
  async hold<R>(work: () => Promise<R>): Promise<R> {
    this.#held = true;
    try {
      return await work();
    } finally {
      this.#held = false;
    }
  }

  /** Signals end the program again as they do by default. */
  release(): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal);
  }
}
