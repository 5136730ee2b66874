/**
 * One transcript as a transaction sees it: what was there when it was first looked at, and the transaction's own changes.
 *
 * However many changes there are, they come to one op of the engine: remove, truncate, append, trim, in this order. So the view is kept
 * as what that op will leave: `#count` items of the base, numbered from `#from` to `#keep`, and behind them the own ones. What the
 * answers of the changes say is exact, because the op then says that the transcript still is as it was (`dependsOnEnd`).
 */
import {
  isAsDemanded,
  type EngineItem,
  type EngineItemQuery,
  type EnginePage,
  type EngineTranscript,
  type NewItem,
  type TranscriptConditions,
  type TranscriptOp,
} from "../engine/contract.js";
import type { EngineCalls } from "./engine-calls.js";
import type { Keep } from "./transcript-arguments.js";
import type { Appended, TranscriptInfo } from "./transcript-types.js";

/** How many items are looked at in one go to find out where a change begins. */
const COUNTED_AT_ONCE = 1000;

interface OwnItem extends NewItem {
  readonly time: number;
}

export class ListView {
  readonly #own: OwnItem[] = [];
  #isRemoved = false;
  #from = 1;
  #keep: number;
  #count: number;
  /** Whether the transaction knows what the end is; otherwise only what is below it. */
  #dependsOnEnd = false;
  #looksAt = false;

  /**
   * @param base The transcript as the engine has it.
   * @param unseen There may be one, which was not looked at, for it is removed.
   */
  constructor(
    private readonly calls: EngineCalls,
    private readonly key: string,
    private readonly name: string,
    private readonly base: EngineTranscript | undefined,
    private readonly unseen = false,
  ) {
    this.#keep = base?.last ?? 0;
    this.#count = base?.length ?? 0;
    if (unseen) this.#isRemoved = true;
  }

  get exists(): boolean {
    return this.#alive !== undefined || this.#own.length > 0;
  }

  get hasOwnItems(): boolean {
    return this.#own.length > 0;
  }

  get last(): number {
    return this.#ownStart - 1 + this.#own.length;
  }

  get length(): number {
    return this.#count + this.#ownVisible;
  }

  /** Says that what the transaction does next depends on where the end is. */
  dependOnEnd(): void {
    if (!this.unseen) this.#dependsOnEnd = true;
  }

  info(): TranscriptInfo | undefined {
    if (!this.exists) return undefined;
    const { since = 0, cut = 0, last = 0 } = this.#alive ?? {};
    return { last: this.last, length: this.length, revision: since, cut: this.#keep < last ? 0 : cut };
  }

  async append(items: readonly NewItem[], maxLength: number | undefined, time: number): Promise<Appended> {
    const known = await this.#knownIds(items);
    const before = this.last;
    const skipped: number[] = [];
    for (const [index, item] of items.entries()) {
      if (item.id !== undefined && known.has(item.id)) {
        skipped.push(index);
        continue;
      }
      if (item.id !== undefined) known.add(item.id);
      this.#own.push({ ...item, time });
    }
    const { last } = this;
    if (maxLength !== undefined && items.length > 0) await this.trim({ length: maxLength });
    const appended = last > before ? { first: before + 1, last } : { first: 0, last: 0 };
    return { revision: 0, ...appended, length: this.length, skipped };
  }

  async truncate(keep: Keep): Promise<void> {
    const surplus = "length" in keep ? Math.max(0, this.length - keep.length) : undefined;
    const ownLeft =
      surplus === undefined
        ? Math.max(0, (keep as { seq: number }).seq - this.#ownStart + 1)
        : this.#own.length - surplus;
    const reachesBase = surplus === undefined ? ownLeft === 0 : surplus > this.#ownVisible;
    if (reachesBase) {
      await this.#truncateBase("length" in keep ? keep : { seq: keep.seq });
      this.#own.length = 0;
    } else {
      this.#own.length = Math.min(this.#own.length, ownLeft);
    }
    // Numbers of own items are used again: what was trimmed of them must not reach the next ones.
    this.#from = Math.min(this.#from, this.last + 1);
  }

  async trim(keep: Keep): Promise<void> {
    const surplus = "length" in keep ? Math.max(0, this.length - keep.length) : undefined;
    if (surplus === 0) return;
    if (surplus !== undefined && surplus >= this.#count) {
      this.#from = Math.max(this.#from, this.#ownStart) + surplus - this.#count;
      this.#count = 0;
    } else if (surplus !== undefined) {
      const { count, lastSeq } = await this.#walkBase({ limit: surplus, backwards: false });
      this.#from = (lastSeq ?? this.#from - 1) + 1;
      this.#count -= count;
    } else {
      const from = Math.min((keep as { seq: number }).seq, this.last + 1);
      if (from <= this.#from) return;
      const all = from > this.#keep;
      const range = { to: from - 1, limit: Infinity, backwards: false };
      this.#count -= all ? this.#count : (await this.#walkBase(range)).count;
      this.#from = from;
    }
  }

  remove(): void {
    this.#isRemoved = true;
    this.#own.length = 0;
    this.#from = 1;
    this.#keep = 0;
    this.#count = 0;
  }

  /** Items of the view, as an engine gives them. */
  async page(query: EngineItemQuery): Promise<EnginePage> {
    const { limit, backwards, to = Infinity } = query;
    this.#looksAt = true;
    const page = backwards ? await this.#pageBackwards(query) : await this.#pageForwards(query);
    if (to >= this.last && (backwards || !page.more)) this.dependOnEnd();
    const { last, length } = this;
    const transcript = this.exists ? { last, length, since: 0, cut: 0 } : undefined;
    return { items: page.items.slice(0, limit), more: page.more, transcript };
  }

  /** What the engine must do, and must find; undefined for nothing. */
  toOp(): TranscriptOp | undefined {
    const op: TranscriptOp = {
      kind: "transcript",
      key: this.key,
      transcript: this.name,
      ...this.#conditions(),
    };
    const changes = {
      ...(this.#isRemoved && (this.unseen || this.base !== undefined) && { remove: true as const }),
      ...(this.#alive !== undefined &&
        this.#keep < this.#alive.last && { truncate: { afterSeq: this.#keep } }),
      ...(this.#own.length > 0 && { items: this.#own.map(toNewItem) }),
      ...(this.#from > 1 && { trim: { beforeSeq: this.#from } }),
    };
    const isNothing = Object.keys(changes).length === 0;
    return isNothing && !this.#dependsOnEnd && !this.#looksAt ? undefined : { ...op, ...changes };
  }

  /** A check of what the transaction has seen; undefined if it saw nothing. */
  toCheck(): TranscriptOp | undefined {
    if (this.unseen || (!this.#dependsOnEnd && !this.#looksAt)) return undefined;
    return { kind: "transcript", key: this.key, transcript: this.name, ...this.#conditions() };
  }

  /** Whether what the transaction has seen is so. */
  holds(found: EngineTranscript | undefined): boolean {
    return isAsDemanded(this.#conditions(), found);
  }

  #conditions(): TranscriptConditions {
    const { last = 0, length = 0, cut = 0 } = this.base ?? {};
    if (this.#dependsOnEnd) return { ifLast: last, ifLength: length, ifCut: cut };
    return this.#looksAt && !this.unseen ? { ifCut: cut } : {};
  }

  get #alive(): EngineTranscript | undefined {
    return this.#isRemoved ? undefined : this.base;
  }

  /** Number of the first own item. */
  get #ownStart(): number {
    return (this.#alive?.last ?? 0) + 1;
  }

  get #ownVisible(): number {
    return this.#own.length - Math.max(0, this.#from - this.#ownStart);
  }

  async #truncateBase(keep: Keep): Promise<void> {
    if (this.#count === 0) return;
    if ("length" in keep) {
      if (keep.length >= this.#count) return;
      const limit = this.#count - keep.length;
      const { lastSeq } = keep.length === 0 ? {} : await this.#walkBase({ limit, backwards: true });
      this.#keep = (lastSeq ?? this.#from) - 1;
      this.#count = keep.length;
      return;
    }
    if (keep.seq >= this.#keep) return;
    const range = { from: keep.seq + 1, limit: Infinity, backwards: false };
    const all = keep.seq < this.#from;
    const count = all ? this.#count : (await this.#walkBase(range)).count;
    if (count === 0) return;
    this.#keep = keep.seq;
    this.#count -= count;
  }

  /**
   * Counts items of the base that the view still has, a page at a time.
   * @param query Its `limit` is that of all of it.
   */
  async #walkBase(query: EngineItemQuery): Promise<{ readonly count: number; readonly lastSeq?: number }> {
    let count = 0;
    let lastSeq: number | undefined;
    let rest = this.#withinBase(query);
    for (let more = true; more && count < query.limit;) {
      const limit = Math.min(COUNTED_AT_ONCE, query.limit - count);
      const page = await this.calls.items(this.key, this.name, { ...rest, limit });
      count += page.items.length;
      lastSeq = page.items.at(-1)?.seq ?? lastSeq;
      if (lastSeq !== undefined)
        rest = { ...rest, ...(rest.backwards ? { to: lastSeq - 1 } : { from: lastSeq + 1 }) };
      ({ more } = page);
    }
    return { count, ...(lastSeq !== undefined && { lastSeq }) };
  }

  #withinBase(query: EngineItemQuery): EngineItemQuery & { readonly from: number; readonly to: number } {
    const { from = 1, to = Infinity } = query;
    return { ...query, from: Math.max(from, this.#from), to: Math.min(to, this.#keep) };
  }

  async #pageForwards(query: EngineItemQuery): Promise<Pick<EnginePage, "items" | "more">> {
    const ofBase = await this.#pageOfBase(query);
    if (ofBase.more) return ofBase;
    const own = this.#ownItems(query);
    const items = [...ofBase.items, ...own];
    return { items, more: items.length > query.limit };
  }

  async #pageBackwards(query: EngineItemQuery): Promise<Pick<EnginePage, "items" | "more">> {
    const own = this.#ownItems(query).reverse();
    if (own.length > query.limit) return { items: own, more: true };
    const left = query.limit - own.length;
    // Where the own ones fill the page: whether there is another one.
    const ofBase = await this.#pageOfBase({ ...query, limit: Math.max(1, left) });
    return { items: [...own, ...ofBase.items], more: ofBase.more || ofBase.items.length > left };
  }

  async #pageOfBase(query: EngineItemQuery): Promise<Pick<EnginePage, "items" | "more">> {
    const within = this.#withinBase(query);
    if (this.#count === 0 || within.from > within.to) return { items: [], more: false };
    return this.calls.items(this.key, this.name, within);
  }

  /** Own items of a range, the oldest first. */
  #ownItems({ from = 1, to = Infinity }: EngineItemQuery): EngineItem[] {
    const start = this.#ownStart;
    return this.#own
      .map(({ json, id, time }, index): EngineItem => {
        const item: unknown = JSON.parse(json);
        return { seq: start + index, item, ...(id !== undefined && { id }), revision: 0, time };
      })
      .filter(({ seq }) => seq >= Math.max(from, this.#from) && seq <= to);
  }

  /**
   * Ids that new items must not have. Those of items that this transaction trims are among them: the engine trims after it has
   * appended.
   */
  async #knownIds(items: readonly NewItem[]): Promise<Set<string>> {
    const known = new Set<string>();
    for (const { id } of this.#own) if (id !== undefined) known.add(id);
    const ids = items.map(({ id }) => id).filter((id) => id !== undefined);
    if (ids.length === 0 || this.#alive === undefined) return known;
    const seqs = await this.calls.itemIds(this.key, this.name, ids);
    for (const [id, seq] of seqs) if (seq <= this.#keep) known.add(id);
    return known;
  }
}

function toNewItem({ json, id }: OwnItem): NewItem {
  return id === undefined ? { json } : { json, id };
}
