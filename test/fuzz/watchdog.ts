/**
 * Ends the process when one input keeps it busy for ever, and says which: a loop without end leaves nobody else to do
 * it. The input lies in memory that a thread can read while the main one hangs.
 */
import { Worker } from "node:worker_threads";

const INPUT_BYTES_MAX = 2 ** 18;
/** A thousand times what the slowest input takes on a busy machine. */
const HANG_MS = 60_000;

const PROGRAM = `
  const { workerData: { state, input, hangMs } } = require("node:worker_threads");
  const numbers = new Int32Array(state);
  let last = -1;
  setInterval(() => {
    const beats = Atomics.load(numbers, 0);
    if (beats !== last || Atomics.load(numbers, 1) === 0) { last = beats; return; }
    const bytes = Buffer.from(new Uint8Array(input).slice(0, Atomics.load(numbers, 1)));
    require("node:fs").writeSync(2, "an input without end: " + JSON.stringify(bytes.toString("latin1")) + "\\n");
    process.kill(process.pid, "SIGKILL");
  }, hangMs).unref();
  setInterval(() => {}, hangMs);
`;

export class Watchdog {
  readonly #numbers: Int32Array;
  readonly #input: Uint8Array;
  readonly #worker: Worker;

  constructor() {
    const state = new SharedArrayBuffer(8);
    const input = new SharedArrayBuffer(INPUT_BYTES_MAX);
    this.#numbers = new Int32Array(state);
    this.#input = new Uint8Array(input);
    this.#worker = new Worker(PROGRAM, { eval: true, workerData: { state, input, hangMs: HANG_MS } });
    this.#worker.unref();
  }

  /** An input begins. */
  watch(bytes: Buffer): void {
    this.#input.set(bytes.subarray(0, INPUT_BYTES_MAX));
    Atomics.store(this.#numbers, 1, Math.min(bytes.length, INPUT_BYTES_MAX));
    Atomics.add(this.#numbers, 0, 1);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
