/**
 * Which parts of `src/` an input reaches, as the engine itself counts them: so that inputs which reach something new can
 * be kept and changed further.
 *
 * Why not a fuzzer from the registry: the one that is maintained, @jazzer.js/core 4, brings a native part that needs
 * glibc 2.38, and Debian 12 has 2.36. What V8 counts is slower to ask for, so inputs are asked about in batches.
 */
import { Session, type Profiler } from "node:inspector";

export class Coverage {
  readonly #session = new Session();
  /** For every function that ran, which characters of it did. */
  readonly #known = new Map<string, Uint8Array>();

  /** Has to be made before the source is loaded: functions that ran before are counted as a whole only. */
  constructor() {
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** From now on nothing was reached yet. */
  forget(): void {
    this.take();
    this.#known.clear();
  }

  /** How many characters of the source ran since the last call, and never before `take` saw them. */
  reached(): number {
    return this.#compare(false);
  }

  /** The same, and from now on they are known. */
  take(): number {
    return this.#compare(true);
  }

  stop(): void {
    this.#session.post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }

  #compare(remember: boolean): number {
    let found = 0;
    for (const { url, functions } of this.#counts()) {
      if (!url.includes("/src/")) continue;
      for (const { ranges } of functions) found += this.#compareFunction(url, ranges, remember);
    }
    return found;
  }

  /** The first range is the whole function; later ones lie in earlier ones and count for themselves. */
  #compareFunction(url: string, ranges: readonly Profiler.CoverageRange[], remember: boolean): number {
    const [whole] = ranges;
    if (whole === undefined || whole.count === 0) return 0;
    const name = `${url} ${whole.startOffset} ${whole.endOffset}`;
    const ran = new Uint8Array(whole.endOffset - whole.startOffset);
    for (const { startOffset, endOffset, count } of ranges) {
      ran.fill(count > 0 ? 1 : 0, startOffset - whole.startOffset, endOffset - whole.startOffset);
    }
    const known = this.#known.get(name) ?? new Uint8Array(ran.length);
    let found = 0;
    for (const [index, value] of ran.entries()) if (value > (known[index] ?? 0)) found += 1;
    if (remember && found > 0) {
      for (const [index, value] of ran.entries()) known[index] = (known[index] ?? 0) | value;
      this.#known.set(name, known);
    }
    return found;
  }

  #counts(): readonly Profiler.ScriptCoverage[] {
    let result: readonly Profiler.ScriptCoverage[] = [];
    // A session of the own thread answers before `post` returns.
    this.#session.post("Profiler.takePreciseCoverage", (error, answer) => {
      if (error !== null) throw error;
      ({ result } = answer);
    });
    return result;
  }
}
