/**
 * What the transcripts of a session are to the people who use a store: types only, one doc comment for each promise.
 *
 * A session has any number of named transcripts: lists of items that grow at their end, in one order for all processes. An
 * item is any JSON value, and has a number, its `seq`: 1 for the first, growing along the list, never used for another item, not
 * even after a truncation. So the number of the last one and the length of the list differ once something was removed.
 */
import type { WaitOptions } from "./wait-options.js";

export interface TranscriptOptions extends WaitOptions {
  /**
   * Which transcript. Well-formed and not empty; at most 200 UTF-16 units (else `transcript_name_too_long`). Default "main".
   */
  readonly transcript?: string | undefined;
  /**
   * The highest `seq` that the transcript must ever have used; 0 for one that does not exist. Otherwise nothing is written and the
   * call fails with `conflict`. With it, what was read up to the end is still the end. Default: whatever it is.
   */
  readonly ifLast?: number | undefined;
  /** The number of items that must be there; else `conflict`. Default: whatever it is. */
  readonly ifLength?: number | undefined;
}

export interface AppendOptions extends TranscriptOptions {
  /**
   * One for each item, undefined for none: 1 to 200 bytes of UTF-8 (else `id_too_long`). An item whose id the transcript already has,
   * or an earlier item of the call, is left out. Default: none.
   */
  readonly ids?: readonly (string | undefined)[] | undefined;
  /** The oldest items are removed in the same commit until there are at most so many; 1 or more. Default: no maximum. */
  readonly maxLength?: number | undefined;
}

/** What became of items that were given to append. */
export interface Appended {
  /** The commit; 0 if there was none, because no items were given, and inside a transaction, which has none yet. */
  readonly revision: number;
  /** `seq` of the first and the last item that was appended; 0 if none was. */
  readonly first: number;
  readonly last: number;
  /** Items in the transcript right after it. */
  readonly length: number;
  /** Indexes of the items that were left out, because the transcript had their ids. */
  readonly skipped: readonly number[];
}

/** An item as it was appended. It is yours: a copy, not frozen. */
export interface Item<I> {
  readonly seq: number;
  readonly item: I;
  /** The id it was appended with. */
  readonly id?: string;
  /** The commit that appended it; 0 inside the transaction that does. */
  readonly revision: number;
  /** When that commit was made by its writer's clock, in milliseconds since 1970. */
  readonly time: number;
}

/** Items as of one instant, in the order that was asked for. */
export interface Page<I> {
  readonly items: readonly Item<I>[];
  /** Highest `seq` that the transcript ever used; 0 if it does not exist. */
  readonly last: number;
  /** Items in the transcript, those outside of the page too. */
  readonly length: number;
  /** Present when there are more in this direction: pass it as `from`, or as `to` when reading backwards, to go on. */
  readonly next?: number;
}

/** Which part of a transcript. */
export interface ItemRange {
  /** Default "main". */
  readonly transcript?: string | undefined;
  /** Lowest `seq`, inclusive. Default: the oldest. */
  readonly from?: number | undefined;
  /** Highest `seq`, inclusive. Default: the newest. */
  readonly to?: number | undefined;
  /** Newest first, from `to` downwards. Default false. */
  readonly backwards?: boolean | undefined;
}

export interface ReadItemsOptions extends ItemRange {
  /** At most so many items, 1 or more; where items are big a page may have fewer, and a `next`. Default 1000. */
  readonly limit?: number | undefined;
}

export interface IterateItemsOptions extends ItemRange {
  /** At most so many items are in memory at once. Default 1000. */
  readonly pageItems?: number | undefined;
  /** Ends the iteration with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A transcript as of one instant. */
export interface TranscriptInfo {
  /** Highest `seq` ever used in it. */
  readonly last: number;
  /** Items that are there. */
  readonly length: number;
  /** The commit that made it: another one was made after this one was removed. 0 inside the transaction that makes it. */
  readonly revision: number;
  /**
   * The commit that removed items from its end last; `revision` if none has. While it stays as it is, items have only come and the
   * oldest gone. 0 inside the transaction that removes them.
   */
  readonly cut: number;
}

/** The suffix that is to be replaced. */
export interface ExpectedSuffix {
  /** Everything from this `seq` on. */
  readonly from: number;
  /** What is there now, compared as JSON. */
  readonly items: readonly unknown[];
}

/**
 * What one commit did to a transcript, in this order: removed, truncated, appended. Where none of the three is told, the oldest
 * items were removed.
 */
export interface TranscriptChange {
  readonly name: string;
  /** It was removed. */
  readonly removed?: true;
  /** Items behind this `seq` were removed. */
  readonly truncatedAfter?: number;
  /** `seq` of the first and the last item that was appended. */
  readonly first?: number;
  readonly last?: number;
  /** Items right after this commit; 0 if it is gone. */
  readonly length: number;
  /** With `items: true`: the appended items, without those that are gone again. */
  readonly items?: readonly Item<unknown>[];
}

/**
 * Transcripts as a transaction has them; a store has `iterateItems` too. Methods that change something fail with `conflict` when
 * `ifLast` or `ifLength` does not hold, with `data.key`, `data.transcript`, `data.expected` and `data.actual`.
 */
export interface TransactionTranscripts {
  /**
   * Appends items, in one piece and in this order. A transcript that does not exist is made; the session needs no record. Items are
   * any JSON values: what JSON would make something else of is a `TypeError` with the key and the path, as in entries.
   * @throws `item_too_large`, `value_too_deep`, `record_too_large` when the items are too much for one commit: append fewer at once.
   * @example
   * const { last } = await store.append("agent:main:main", [{ role: "user", text: "hi" }], { ids: ["m-1"] });
   */
  append<I = unknown>(key: string, items: readonly I[], options?: AppendOptions): Promise<Appended>;
  /**
   * A page of items, the oldest first. A transcript that does not exist has none.
   * @example
   * const newest = await store.readItems("agent:main:main", { backwards: true, limit: 50 });
   */
  readItems<I = unknown>(key: string, options?: ReadItemsOptions): Promise<Page<I>>;
  /** Undefined if there is none of this name. Default "main". */
  transcript(key: string, name?: string): Promise<TranscriptInfo | undefined>;
  /** Names of the session's transcripts, sorted by UTF-16 code units. */
  transcripts(key: string): Promise<string[]>;
  /**
   * Removes the newest items: those behind `afterSeq`, or all but so many of the oldest. Numbers go on after it.
   * @returns The transcript after it; undefined if there is none.
   * @example
   * await store.truncate("agent:main:main", { afterSeq: 12 });
   */
  truncate(
    key: string,
    keep: { readonly afterSeq: number } | { readonly length: number },
    options?: TranscriptOptions,
  ): Promise<TranscriptInfo | undefined>;
  /**
   * Removes the oldest items: those before `beforeSeq`, or all but so many of the newest.
   * @returns The transcript after it; undefined if there is none.
   */
  trim(
    key: string,
    keep: { readonly beforeSeq: number } | { readonly length: number },
    options?: TranscriptOptions,
  ): Promise<TranscriptInfo | undefined>;
  /**
   * Puts `items` in the place of the items from `expected.from` to the end, if these are `expected.items`; the numbers of the
   * removed ones are not used again. Else `conflict`, with `data.seq` too: the first that differs.
   * @example
   * await store.replaceSuffix("agent:main:main", { from: 2, items: [{ text: "draft" }] }, [{ text: "final" }]);
   */
  replaceSuffix<I = unknown>(
    key: string,
    expected: ExpectedSuffix,
    items: readonly I[],
    options?: AppendOptions,
  ): Promise<Appended>;
  /** True if there was one. Made again, it begins at 1. */
  removeTranscript(key: string, options?: TranscriptOptions): Promise<boolean>;
}

/** The transcripts of sessions. */
export interface Transcripts extends TransactionTranscripts {
  /**
   * The items of a range one after the other, a page at a time: what is appended behind the end while it runs is still given, if it
   * goes forwards.
   * @example
   * for await (const { seq, item } of store.iterateItems("agent:main:main")) console.log(seq, item);
   */
  iterateItems<I = unknown>(key: string, options?: IterateItemsOptions): AsyncIterable<Item<I>>;
}
