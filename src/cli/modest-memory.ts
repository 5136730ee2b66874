/**
 * For commands that pass over whole stores: memory stays near what they really hold.
 *
 * V8 lets the heap grow to a multiple of what is alive before it collects the old part of it, and of what a store hands out and is let go
 * again much gets there. With a hundred thousand sessions that was half of the memory, for no gain in time.
 */
import { setFlagsFromString } from "node:v8";

/** What such a command keeps of sessions that it has read: it meets each once. */
export const MODEST_CACHE_BYTES = 1024 * 1024;
const HEAP_GROWING_PERCENT = 20;

export function collectEarly(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
}
