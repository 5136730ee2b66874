/** Runs schedules by their seeds, one after the other, in one thread. */
import { addFigures, noFigures, type Figures } from "./figures.js";
import { Images } from "./images.js";
import { generate, type Play, type Schedule } from "./schedule.js";
import { simulate, type Outcome } from "./simulate.js";

export interface Seeds {
  readonly first: number;
  readonly count: number;
  readonly only?: Play | undefined;
}

export interface Failure {
  readonly seed: number;
  readonly violation: string;
}

export interface Batch {
  readonly figures: Figures;
  readonly failures: readonly Failure[];
}

/** The size of the buffer with which every store reads its log. */
const LARGE_BYTES = 1024 * 1024;

export class Runner {
  readonly #background: string[] = [];

  private constructor(private readonly images: Images) {
    process.on("unhandledRejection", this.#onUnhandled);
  }

  static async make(): Promise<Runner> {
    return new Runner(await Images.make());
  }

  /** Lets go of the process's event. */
  dispose(): void {
    process.off("unhandledRejection", this.#onUnhandled);
  }

  async run(schedule: Schedule): Promise<Outcome> {
    this.#background.length = 0;
    await new Promise((resolve) => setImmediate(resolve)); // every schedule begins in the same phase of the event loop
    const outcome = await lendingBuffers(() => simulate(schedule, this.images));
    await new Promise((resolve) => setImmediate(resolve)); // rejections that nobody handles show up
    const [background] = this.#background;
    if (background === undefined || outcome.violation !== undefined) return outcome;
    const figures = { ...outcome.figures, violations: 1 };
    return { ...outcome, figures, violation: `nobody handled ${background}` };
  }

  /** @param current Told the seed before each schedule, so that a watcher can tell which one does not end. */
  async runSeeds({ first, count, only }: Seeds, current: (seed: number) => void = () => {}): Promise<Batch> {
    const figures = noFigures();
    const failures: Failure[] = [];
    for (let seed = first; seed < first + count; seed++) {
      current(seed);
      const outcome = await this.run(generate(seed, only));
      addFigures(figures, outcome.figures);
      if (outcome.violation !== undefined) failures.push({ seed, violation: outcome.violation });
    }
    return { figures, failures };
  }

  readonly #onUnhandled = (reason: unknown): void => {
    this.#background.push(reason instanceof Error ? reason.message : JSON.stringify(reason));
  };
}

const pool: Buffer<ArrayBuffer>[] = [];

/**
 * Every store that opens takes a megabyte to read its log, and a schedule opens ten stores: most of the time would go
 * into giving memory back. So the buffers of one schedule are used again in the next.
 */
async function lendingBuffers<T>(work: () => Promise<T>): Promise<T> {
  // oxlint-disable-next-line typescript/unbound-method -- put back below as it was; it does not use `this`
  const allocate = Buffer.allocUnsafeSlow;
  let lent = 0;
  Buffer.allocUnsafeSlow = (size) => {
    if (size !== LARGE_BYTES) return allocate(size);
    const buffer = pool[lent] ?? allocate(size);
    pool[lent++] = buffer;
    return buffer;
  };
  try {
    return await work();
  } finally {
    Buffer.allocUnsafeSlow = allocate;
  }
}
