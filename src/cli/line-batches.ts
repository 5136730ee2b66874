/**
 * Appends lines to a transcript as they come, batch by batch: each batch is one commit, so it is there as a whole or not at all.
 *
 * A batch never waits for more input: what was read in one piece is appended before the next piece is waited for. In a dry run nothing is
 * appended, and what would be left out is found among the ids that the transcript has.
 */
import type { Store } from "./open-store.js";

/** A commit is one line of the log, which has room for one of the largest items, or for many ordinary ones. */
const BATCH_BYTES_MAX = 1024 * 1024;
const BATCH_ITEMS_MAX = 1000;
const PAGE_ITEMS = 1000;

export interface LineItem {
  /** Number of its line. */
  readonly line: number;
  readonly item: unknown;
  readonly id: string | undefined;
  /** Of its line. */
  readonly bytes: number;
}

/** What became of a batch. */
export interface Batch {
  /** Numbers of the first and the last line. */
  readonly lines: readonly [first: number, last: number];
  readonly appended: number;
  /** Items that the transcript had. */
  readonly skipped: number;
  /** `seq` of the first and the last item; absent in a dry run, and where none was appended. */
  readonly first?: number;
  readonly last?: number;
  /** Of the transcript after it; absent in a dry run. */
  readonly length?: number;
  /** The commit; absent in a dry run. */
  readonly revision?: number;
}

export interface BatchTarget {
  readonly key: string;
  readonly transcript: string;
  readonly dryRun: boolean;
}

export class LineBatches {
  #items: LineItem[] = [];
  #bytes = 0;
  /** The last line that may be appended, for its batch was begun; 0: none. */
  lastLine = 0;
  /** In a dry run: ids that the transcript has, or would have. */
  #ids: Set<string> | undefined;

  constructor(
    private readonly store: Store,
    private readonly target: BatchTarget,
    private readonly signal: AbortSignal,
    private readonly onBatch: (batch: Batch) => Promise<void>,
  ) {}

  /** The first line that was given and not appended yet. */
  get firstLine(): number | undefined {
    return this.#items[0]?.line;
  }

  async add(item: LineItem): Promise<void> {
    const isFull = this.#items.length === BATCH_ITEMS_MAX || this.#bytes + item.bytes > BATCH_BYTES_MAX;
    if (isFull) await this.flush();
    this.#items.push(item);
    this.#bytes += item.bytes;
  }

  /** Appends what was given. */
  async flush(): Promise<void> {
    const items = this.#items;
    const [first] = items;
    if (first === undefined) return;
    this.signal.throwIfAborted();
    const lines = [first.line, items.at(-1)?.line ?? first.line] as const;
    this.lastLine = lines[1];
    const batch = this.target.dryRun ? await this.#plan(items) : await this.#append(items);
    this.#items = [];
    this.#bytes = 0;
    await this.onBatch({ lines, ...batch });
  }

  async #append(items: readonly LineItem[]): Promise<Omit<Batch, "lines">> {
    const { key, transcript } = this.target;
    const ids = items.some(({ id }) => id !== undefined) ? items.map(({ id }) => id) : undefined;
    const given = items.map(({ item }) => item);
    const { signal } = this;
    const done = await this.store.append(key, given, { transcript, signal, ...(ids && { ids }) });
    const { first, last, length, revision, skipped } = done;
    const appended = items.length - skipped.length;
    return { appended, skipped: skipped.length, ...(first > 0 && { first, last }), length, revision };
  }

  async #plan(items: readonly LineItem[]): Promise<Omit<Batch, "lines">> {
    let appended = 0;
    for (const { id } of items) {
      if (id !== undefined) {
        this.#ids ??= await this.#knownIds();
        if (this.#ids.has(id)) continue;
        this.#ids.add(id);
      }
      appended += 1;
    }
    return { appended, skipped: items.length - appended };
  }

  async #knownIds(): Promise<Set<string>> {
    const { key, transcript } = this.target;
    const { signal } = this;
    const ids = new Set<string>();
    for await (const { id } of this.store.iterateItems(key, { transcript, pageItems: PAGE_ITEMS, signal }))
      if (id !== undefined) ids.add(id);
    return ids;
  }
}

/** What was appended so far. */
export class BatchTotals {
  appended = 0;
  skipped = 0;
  first: number | undefined;
  last: number | undefined;
  length: number | undefined;
  /** The last line of which it is known. */
  lastLine = 0;

  add({ appended, skipped, first, last, length, lines }: Batch): void {
    this.lastLine = lines[1];
    this.appended += appended;
    this.skipped += skipped;
    this.first ??= first;
    this.last = last ?? this.last;
    this.length = length ?? this.length;
  }
}
