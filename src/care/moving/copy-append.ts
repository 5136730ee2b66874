/**
 * The short way for a session that is copied again and again: what was appended to its transcripts since the last time, and its record,
 * in one commit. It is known how both sides were then; whatever else has happened, the long way compares everything.
 */
import { equalJson } from "../../format/equal-json.js";
import type { TranscriptInfo } from "../../store/transcript-types.js";
import type { AnyStore } from "./options.js";
import type { SessionSnapshot } from "./session-snapshot.js";
import { BATCH_BYTES_MAX, BATCH_ITEMS_MAX, type NewItem } from "./transcript-sync.js";

/** A transcript on both sides, when they were the same. */
interface Pair {
  readonly from: TranscriptInfo;
  readonly to: TranscriptInfo;
}

/** The copy has an item that the source has not. */
class IdTaken extends Error {}

/** Sessions that are remembered. */
const REMEMBERED_MAX = 1000;

export class RecentCopies {
  readonly #sessions = new Map<string, ReadonlyMap<string, Pair>>();

  constructor(
    private readonly from: AnyStore,
    private readonly to: AnyStore,
  ) {}

  /** The session was copied as it is in this snapshot. */
  async remember({ key, transcripts }: SessionSnapshot): Promise<void> {
    const pairs = new Map<string, Pair>();
    for (const [name, from] of transcripts) {
      const to = await this.to.transcript(key, name);
      if (to === undefined ? from.length > 0 : to.length !== from.length) return this.forget(key);
      if (to !== undefined) pairs.set(name, { from, to });
    }
    this.#sessions.delete(key);
    this.#sessions.set(key, pairs);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > REMEMBERED_MAX && oldest !== undefined) this.#sessions.delete(oldest);
  }

  forget(key: string): void {
    this.#sessions.delete(key);
  }

  /** @returns False where the long way has to be taken; nothing was written then. */
  async append(snapshot: SessionSnapshot): Promise<boolean> {
    const { key, record, transcripts } = snapshot;
    const pairs = this.#sessions.get(key);
    if (pairs === undefined || record === undefined) return false;
    if ([...pairs.keys()].some((name) => !transcripts.has(name))) return false;
    const appended = new Map<string, readonly NewItem[]>();
    let room = BATCH_ITEMS_MAX;
    for (const [name, now] of transcripts) {
      const pair = pairs.get(name);
      if (pair === undefined || now.revision !== pair.from.revision || now.cut !== pair.from.cut)
        return false;
      const items =
        now.last === pair.from.last ? [] : await this.#behind(key, name, pair.from.last, now.last, room);
      // Fewer, and the oldest were removed meanwhile.
      if (items === undefined || pair.from.length + items.length !== now.length) return false;
      room -= items.length;
      if (items.length > 0) appended.set(name, items);
    }
    const work = this.to.transact(async (tx) => {
      const there = (await tx.read(key)) as { readonly entry: object } | undefined;
      for (const [name, { to }] of pairs) {
        const now = await tx.transcript(key, name);
        if (now?.revision !== to.revision || now.cut !== to.cut || now.last !== to.last) return false;
      }
      for (const [transcript, given] of appended) {
        const items = given.map(({ item }) => item);
        const ids = given.some(({ id }) => id !== undefined) ? given.map(({ id }) => id) : undefined;
        const { skipped } = await tx.append(key, items, { transcript, ids });
        if (skipped.length > 0) throw new IdTaken();
      }
      if (!equalJson(there?.entry, record.entry)) await tx.put(key, record.entry);
      return true;
    });
    const done = await work.catch((error: unknown) => {
      if (error instanceof IdTaken) return false;
      throw error;
    });
    if (done) await this.remember(snapshot);
    else this.forget(key);
    return done;
  }

  /** Items behind a number; undefined if they are too much for one commit. */
  async #behind(
    key: string,
    transcript: string,
    behind: number,
    last: number,
    room: number,
  ): Promise<NewItem[] | undefined> {
    const items: NewItem[] = [];
    let sum = 0;
    for await (const { item, id } of this.from.iterateItems(key, {
      transcript,
      from: behind + 1,
      to: last,
    })) {
      const bytes = JSON.stringify(item).length;
      items.push({ item, id, bytes });
      sum += bytes;
      if (items.length > room || (items.length > 1 && sum > BATCH_BYTES_MAX)) return undefined;
    }
    return items;
  }
}
