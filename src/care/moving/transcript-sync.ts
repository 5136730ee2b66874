/**
 * Brings one transcript to what comes in, item by item: what is there already is compared and stays, with its numbers and times; the
 * rest is appended. Killed anywhere, the transcript is a beginning of what comes in, and the same work done once more goes on behind it.
 */
import { SessionStoreError } from "../../errors.js";
import type { Item, TransactionTranscripts } from "../../store/transcript-types.js";

/**
 * What may be done where the transcript is not as it comes in.
 *  - `compare`: nothing, not even append
 *  - `continue`: append, if all that is there is a beginning of what comes in
 *  - `replace`: whatever it takes
 */
export type Stance = "compare" | "continue" | "replace";

export interface NewItem {
  readonly item: unknown;
  readonly id?: string | undefined;
  /** About. */
  readonly bytes: number;
}

/** A commit is one line of the log, which has room for one of the largest items, or for many ordinary ones. */
export const BATCH_BYTES_MAX = 1024 * 1024;
export const BATCH_ITEMS_MAX = 1000;
const PAGE_ITEMS = 500;

/** What it needs of a store or a transaction. */
export type TranscriptCalls = Pick<
  TransactionTranscripts,
  "append" | "readItems" | "transcript" | "truncate" | "removeTranscript"
>;

export class TranscriptSync {
  /** It is not as it comes in, and the stance forbids to change that. */
  differs = false;
  /** Something was written, or would be. */
  changed = false;
  /** Items that were appended. */
  appended = 0;
  /** What is there and was not compared yet: from this number on; undefined: nothing any more. */
  #next: number | undefined = 1;
  #page: Item<unknown>[] = [];
  /** Highest number that was used. */
  #last = 0;
  /** Number of the last item that was as it comes in. */
  #same = 0;
  #begun = false;
  #batch: NewItem[] = [];
  #batchBytes = 0;

  /** @param dryRun Nothing is written. */
  constructor(
    private readonly store: TranscriptCalls,
    private readonly key: string,
    private readonly transcript: string,
    private readonly stance: Stance,
    private readonly dryRun: boolean,
  ) {}

  async add(item: NewItem): Promise<void> {
    if (this.differs) return;
    await this.#begin();
    const there = await this.#nextThere();
    if (there !== undefined) {
      if (isSame(there, item)) {
        this.#same = there.seq;
        return;
      }
      if (this.stance !== "replace") {
        this.differs = true;
        return;
      }
      await this.#cut();
    }
    if (this.stance === "compare") {
      this.differs = true;
      return;
    }
    const isFull =
      this.#batch.length === BATCH_ITEMS_MAX ||
      (this.#batch.length > 0 && this.#batchBytes + item.bytes > BATCH_BYTES_MAX);
    if (isFull) await this.#append();
    this.#batch.push(item);
    this.#batchBytes += item.bytes;
  }

  /** All has come. */
  async end(): Promise<void> {
    if (this.differs) return;
    await this.#begin();
    if ((await this.#nextThere()) !== undefined) {
      if (this.stance === "replace") await this.#cut();
      else this.differs = true;
    }
    await this.#append();
  }

  async #begin(): Promise<void> {
    if (this.#begun) return;
    this.#begun = true;
    const found = await this.store.transcript(this.key, this.transcript);
    this.#last = found?.last ?? 0;
    if (found === undefined || found.length === 0) this.#next = undefined;
  }

  /** The next item that is there; it is taken. */
  async #nextThere(): Promise<Item<unknown> | undefined> {
    while (this.#page.length === 0 && this.#next !== undefined) {
      const { transcript } = this;
      const page = await this.store.readItems(this.key, { transcript, from: this.#next, limit: PAGE_ITEMS });
      this.#page = [...page.items].reverse();
      this.#next = page.next;
    }
    return this.#page.pop();
  }

  /** Removes what is there behind the last item that is as it comes in. */
  async #cut(): Promise<void> {
    const { key, transcript } = this;
    this.#page = [];
    this.#next = undefined;
    this.changed = true;
    if (this.dryRun) return;
    const options = { transcript, ifLast: this.#last };
    if (this.#same === 0) {
      await this.store.removeTranscript(key, options); // begun again, it has numbers from 1
      this.#last = 0;
    } else {
      await this.store.truncate(key, { afterSeq: this.#same }, options); // numbers go on
    }
  }

  async #append(): Promise<void> {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.changed = true;
    this.appended += batch.length;
    this.#batch = [];
    this.#batchBytes = 0;
    if (this.dryRun) return;
    const { transcript } = this;
    const items = batch.map(({ item }) => item);
    const ids = batch.some(({ id }) => id !== undefined) ? batch.map(({ id }) => id) : undefined;
    const done = await this.store.append(this.key, items, { transcript, ids, ifLast: this.#last });
    this.#last = done.last === 0 ? this.#last : done.last;
  }
}

function isSame(there: Item<unknown>, item: NewItem): boolean {
  // Both were parsed from JSON, and a store keeps the order of fields.
  return there.id === item.id && JSON.stringify(there.item) === JSON.stringify(item.item);
}

/** Whether somebody else wrote to a session while it was worked on. */
export function isOvertaken(error: unknown): boolean {
  return error instanceof SessionStoreError && error.code === "conflict";
}
