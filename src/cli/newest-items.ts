/** Where the newest items of a transcript begin: numbers have gaps after a truncation, so they are counted, from the end. */
import type { Store } from "./open-store.js";
import type { TranscriptTarget } from "./transcript-target.js";

const PAGE_ITEMS = 1000;

export interface Range {
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

/** `seq` of the first of the newest `count` items of a range; undefined if there are none. */
export async function startOfNewest(
  store: Store,
  { key, transcript }: Pick<TranscriptTarget, "key" | "transcript">,
  count: number,
  { from, to }: Range,
  signal: AbortSignal,
): Promise<number | undefined> {
  let start: number | undefined;
  let missing = count;
  for (let next = to; missing > 0;) {
    signal.throwIfAborted();
    const limit = Math.min(missing, PAGE_ITEMS);
    const page = await store.readItems(key, { transcript, from, to: next, limit, backwards: true });
    start = page.items.at(-1)?.seq ?? start;
    missing -= page.items.length;
    if (page.next === undefined) break;
    next = page.next;
    await new Promise(setImmediate); // a signal must get through
  }
  return start;
}
