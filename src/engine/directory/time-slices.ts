/**
 * Long work in short slices: a generator yields wherever it may be interrupted, and its driver decides whether it
 * runs through (`getSync`, `listSync`) or gives the event loop its turn every few milliseconds.
 */
import type { Runtime } from "../../runtime.js";

/** Well below the 50 ms at which a gateway's other channels begin to notice. */
const SLICE_MS = 8;

/** Runs work to its end at once. */
export function runNow<T>(work: Generator<void, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** Runs work to its end, never longer than a slice at a time. */
export async function runInSlices<T>(work: Generator<void, T>, runtime: Runtime): Promise<T> {
  let sliceStart = runtime.monotonic();
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    if (runtime.monotonic() - sliceStart < SLICE_MS) continue;
    await runtime.yieldToEventLoop();
    sliceStart = runtime.monotonic();
  }
}

const RUN_LENGTH = 2048;

/** Sorts like `toSorted`, in slices: short runs first, then merges of neighbours. */
export function* sortInSlices<T>(items: readonly T[], compare: (a: T, b: T) => number): Generator<void, T[]> {
  let runs: T[][] = [];
  for (let start = 0; start < items.length; start += RUN_LENGTH) {
    runs.push(items.slice(start, start + RUN_LENGTH).sort(compare));
    yield;
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let index = 0; index < runs.length; index += 2) {
      const right = runs[index + 1];
      merged.push(
        right === undefined ? (runs[index] ?? []) : yield* merge(runs[index] ?? [], right, compare),
      );
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

function* merge<T>(
  left: readonly T[],
  right: readonly T[],
  compare: (a: T, b: T) => number,
): Generator<void, T[]> {
  const out: T[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length && j < right.length) {
    const a = left[i] as T;
    const b = right[j] as T;
    if (compare(a, b) <= 0) {
      out.push(a);
      i++;
    } else {
      out.push(b);
      j++;
    }
    if (out.length % RUN_LENGTH === 0) yield;
  }
  while (i < left.length) out.push(left[i++] as T);
  while (j < right.length) out.push(right[j++] as T);
  return out;
}
