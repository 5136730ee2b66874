/**
 * The transcripts of the memory engine: a list of items each, kept as their JSON, so that what goes in and what comes out is
 * nobody else's.
 *
 * A commit asks `refuses` of every op before it applies any; `apply` cannot fail.
 */
import {
  isAsDemanded,
  type EngineItem,
  type EngineItemQuery,
  type EnginePage,
  type EngineTranscript,
  type TranscriptChange,
  type TranscriptOp,
  type TranscriptOutcome,
  type TranscriptStats,
} from "../contract.js";

interface StoredItem {
  readonly seq: number;
  readonly json: string;
  readonly id: string | undefined;
  readonly revision: number;
  readonly time: number;
}

interface List {
  last: number;
  since: number;
  cut: number;
  /** In the order of their numbers. */
  items: StoredItem[];
  /** Number of the item that has an id. */
  readonly ids: Map<string, number>;
}

export interface AppliedOp {
  readonly outcome: TranscriptOutcome;
  /** Undefined: everything is as it was. */
  readonly change: TranscriptChange | undefined;
}

export class TranscriptTable {
  /** Session to name to list; without empty maps. */
  readonly #sessions = new Map<string, Map<string, List>>();

  info(key: string, name: string): EngineTranscript | undefined {
    return infoOf(this.#sessions.get(key)?.get(name));
  }

  names(key: string): string[] {
    return [...(this.#sessions.get(key)?.keys() ?? [])].sort();
  }

  keys(): string[] {
    return [...this.#sessions.keys()];
  }

  stats(): TranscriptStats {
    const lists = [...this.#sessions.values()].flatMap((ofSession) => [...ofSession.values()]);
    const items = lists.flatMap((list) => list.items);
    const bytes = items.reduce((sum, { json }) => sum + Buffer.byteLength(json), 0);
    return { count: lists.length, items: items.length, bytes, damaged: 0 };
  }

  page(key: string, name: string, query: EngineItemQuery): EnginePage {
    const list = this.#sessions.get(key)?.get(name);
    const { from = 1, to = Infinity, limit, backwards } = query;
    const items = list?.items ?? [];
    const start = positionOf(items, from);
    const end = Math.max(start, positionOf(items, to + 1));
    const page = backwards
      ? items.slice(Math.max(start, end - limit), end).reverse()
      : items.slice(start, Math.min(end, start + limit));
    return { items: page.map(toItem), more: page.length < end - start, transcript: infoOf(list) };
  }

  idsAmong(key: string, name: string, ids: readonly string[]): Map<string, number> {
    const known = this.#sessions.get(key)?.get(name)?.ids;
    const found = new Map<string, number>();
    for (const id of ids) {
      const seq = known?.get(id);
      if (seq !== undefined) found.set(id, seq);
    }
    return found;
  }

  /** Whether what the op says about the transcript does not hold. */
  refuses(op: TranscriptOp): boolean {
    return !isAsDemanded(op, this.info(op.key, op.transcript));
  }

  apply(op: TranscriptOp, revision: number, time: number): AppliedOp {
    const { key, transcript: name } = op;
    const before = this.#sessions.get(key)?.get(name);
    const removed = op.remove === true && before !== undefined;
    let list = removed ? undefined : before;
    const truncatedAfter = list && op.truncate && truncate(list, op.truncate, revision);
    if (list === undefined && op.items !== undefined && op.items.length > 0) {
      list = { last: 0, since: revision, cut: revision, items: [], ids: new Map() };
    }
    const appended = list && op.items ? append(list, op.items, revision, time) : NOTHING;
    const trimmed = list !== undefined && op.trim !== undefined && trim(list, op.trim);
    if (list !== before) this.#keep(key, name, list);
    const { first, last, skipped } = appended;
    const changed = removed || truncatedAfter !== undefined || first > 0 || trimmed;
    return {
      outcome: { transcript: infoOf(list), first, last, skipped },
      change: changed
        ? {
            name,
            ...(removed && { removed }),
            ...(truncatedAfter !== undefined && { truncatedAfter }),
            ...(first > 0 && { first, last }),
            length: list?.items.length ?? 0,
          }
        : undefined,
    };
  }

  /** @returns Whether the session had any. */
  removeAll(key: string): boolean {
    return this.#sessions.delete(key);
  }

  #keep(key: string, name: string, list: List | undefined): void {
    const lists = this.#sessions.get(key) ?? new Map<string, List>();
    if (list === undefined) lists.delete(name);
    else lists.set(name, list);
    if (lists.size === 0) this.#sessions.delete(key);
    else this.#sessions.set(key, lists);
  }
}

type Appending = Pick<TranscriptOutcome, "first" | "last" | "skipped">;

const NOTHING: Appending = { first: 0, last: 0, skipped: [] };

function append(
  list: List,
  given: NonNullable<TranscriptOp["items"]>,
  revision: number,
  time: number,
): Appending {
  const before = list.last;
  const skipped: number[] = [];
  for (const [index, { json, id }] of given.entries()) {
    if (id !== undefined && list.ids.has(id)) {
      skipped.push(index);
      continue;
    }
    list.last += 1;
    list.items.push({ seq: list.last, json, id, revision, time });
    if (id !== undefined) list.ids.set(id, list.last);
  }
  return list.last === before ? { ...NOTHING, skipped } : { first: before + 1, last: list.last, skipped };
}

/** @returns What it was truncated after; undefined if nothing was removed. */
function truncate(
  list: List,
  keep: NonNullable<TranscriptOp["truncate"]>,
  revision: number,
): number | undefined {
  const { items } = list;
  const length =
    "length" in keep ? Math.min(keep.length, items.length) : positionOf(items, keep.afterSeq + 1);
  if (length === items.length) return undefined;
  forget(list, items.splice(length));
  list.cut = revision;
  return "length" in keep ? (items.at(-1)?.seq ?? 0) : keep.afterSeq;
}

/** @returns Whether anything was removed. */
function trim(list: List, keep: NonNullable<TranscriptOp["trim"]>): boolean {
  const { items } = list;
  const surplus =
    "length" in keep ? Math.max(0, items.length - keep.length) : positionOf(items, keep.beforeSeq);
  forget(list, items.splice(0, surplus));
  return surplus > 0;
}

function forget({ ids }: List, removed: readonly StoredItem[]): void {
  for (const { id } of removed) if (id !== undefined) ids.delete(id);
}

/** How many items have a lower number. */
function positionOf(items: readonly StoredItem[], seq: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (items[middle]!.seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

function infoOf(list: List | undefined): EngineTranscript | undefined {
  return list && { last: list.last, length: list.items.length, since: list.since, cut: list.cut };
}

function toItem({ seq, json, id, revision, time }: StoredItem): EngineItem {
  const item: unknown = JSON.parse(json);
  return { seq, item, ...(id !== undefined && { id }), revision, time };
}
