/**
 * The account of what workers (`programs/appending.mjs`) were promised about the items of transcripts, compared with what the store
 * has in the end. What does not agree is said in words.
 *
 * A number says one thing for ever: everybody who ever saw it saw the same item with it. Between the first number and the last that
 * was used, an item is there, or a removal says that it is not. A removal or a batch that was begun and never acknowledged has
 * happened as a whole, or not at all.
 */

/** An item as somebody saw it. */
export interface SeenItem {
  readonly seq: number;
  readonly id: string;
  readonly revision: number;
}

/** A transcript in the end. */
export interface FinalTranscript {
  readonly items: readonly SeenItem[];
  readonly last: number;
  readonly length: number;
  /** What the record says is in it; undefined for a transcript that no record counts. */
  readonly counted: number | undefined;
}

export interface ItemTotal {
  acknowledged: number;
  /** Of these, what has to survive the power cut of the round. */
  durable: number;
  /** Batches of which nothing was appended, because all of it was there. */
  repeated: number;
  /** Begun, and never acknowledged. */
  open: number;
  removals: number;
  observed: number;
}

interface Batch {
  readonly ids: readonly string[];
}

interface Removal {
  readonly from: number;
  readonly to: number;
}

/** What became of the writes of one transcript. */
class Account {
  readonly batches = new Map<string, Batch>();
  readonly removals = new Map<string, Removal>();
  /** Writes that were acknowledged; whether that has to hold whatever happens. */
  readonly acknowledged = new Map<string, boolean>();
  readonly sent: { readonly id: string; readonly seq: number; readonly durable: boolean }[] = [];
  readonly seen: SeenItem[] = [];
}

export class ItemAccounts {
  readonly total: ItemTotal = { acknowledged: 0, durable: 0, repeated: 0, open: 0, removals: 0, observed: 0 };
  readonly #accounts = new Map<string, Account>();

  /**
   * @param text What the worker wrote down; a last line that was cut off does not count.
   * @param durableUntil What it was told until then has to hold, in its own clock's nanoseconds.
   */
  read(worker: string, text: string, durableUntil: number): void {
    const open = new Map<number, Account>();
    for (const line of text.split("\n").slice(0, -1)) {
      const fields = JSON.parse(line) as unknown[];
      const [kind, n] = fields as [string, number];
      const write = `${worker} ${n}`;
      if (kind === "O") {
        const [, key, name, items] = fields as [string, string, string, [number, string, number][]];
        const account = this.#of(key, name);
        for (const [seq, id, revision] of items) account.seen.push({ seq, id, revision });
        this.total.observed += items.length;
      } else if (kind === "B") {
        const [, , key, name, ids] = fields as [string, number, string, string, string[]];
        open.set(n, this.#of(key, name));
        this.#of(key, name).batches.set(write, { ids });
      } else if (kind === "X") {
        const [, , key, name, from, to] = fields as [string, number, string, string, number, number];
        open.set(n, this.#of(key, name));
        this.#of(key, name).removals.set(write, { from, to });
      } else if (kind === "N") {
        open.get(n)?.batches.delete(write);
        open.get(n)?.removals.delete(write);
        open.delete(n);
      } else {
        const [, , time, sent] = fields as [string, number, number, [string, number][]];
        const durable = time < durableUntil;
        open.get(n)?.acknowledged.set(write, durable);
        for (const [id, seq] of sent) open.get(n)?.sent.push({ id, seq, durable });
        this.total.acknowledged += 1;
        if (durable) this.total.durable += 1;
        if (sent.length === 0 && open.get(n)?.batches.has(write) === true) this.total.repeated += 1;
        if (open.get(n)?.removals.has(write) === true) this.total.removals += 1;
        open.delete(n);
      }
    }
    this.total.open += open.size;
  }

  /**
   * @param before The transcripts as they were in the beginning.
   * @param after The same in the end, by key and name as {@link transcriptId} has them.
   * @param mayLose Whether the newest commits may be gone that were not acknowledged as durable.
   */
  compare(
    before: ReadonlyMap<string, FinalTranscript>,
    after: ReadonlyMap<string, FinalTranscript>,
    mayLose: boolean,
  ): string[] {
    const ids = new Set([...before.keys(), ...after.keys(), ...this.#accounts.keys()]);
    return [...ids].flatMap((id) => {
      const account = this.#accounts.get(id) ?? new Account();
      const wrong = compareOne(account, before.get(id) ?? NOTHING, after.get(id) ?? NOTHING, mayLose);
      return wrong.map((text) => `${id}: ${text}`);
    });
  }

  #of(key: string, name: string): Account {
    const id = transcriptId(key, name);
    const account = this.#accounts.get(id) ?? new Account();
    this.#accounts.set(id, account);
    return account;
  }
}

const NOTHING: FinalTranscript = { items: [], last: 0, length: 0, counted: undefined };

export function transcriptId(key: string, name: string): string {
  return `${key}/${name}`;
}

function compareOne(
  account: Account,
  before: FinalTranscript,
  after: FinalTranscript,
  mayLose: boolean,
): string[] {
  const { last, length, counted, items } = after;
  const wrong: string[] = [];
  const present = new Map(items.map((item) => [item.seq, item]));
  if (length !== items.length || present.size !== items.length)
    wrong.push(`${items.length} items are there, with ${present.size} numbers, not ${length}`);
  if (new Set(items.map(({ id }) => id)).size !== items.length) wrong.push("an id is there twice");
  if (counted !== undefined && counted !== length) wrong.push(`its record counts ${counted}, not ${length}`);
  wrong.push(...disorder(items));
  if (items.some(({ seq }) => seq > last)) wrong.push(`an item is behind ${last}`);

  // What is promised, or was there: not one number is given back.
  const promised = account.sent.filter(({ durable }) => durable || !mayLose).map(({ seq }) => seq);
  const highest = promised.reduce((most, seq) => Math.max(most, seq), before.last);
  if (highest > last) wrong.push(`${highest} was promised, but the last one is ${last}`);

  wrong.push(...contradictions(account, before, after));

  const removed = removals(account, present, mayLose, wrong);
  const beginning = new Set(before.items.map(({ seq }) => seq));
  for (let seq = 1; seq <= last; seq++) {
    if (present.has(seq) || removed.some(({ from, to }) => from <= seq && seq <= to)) continue;
    if (seq <= before.last && !beginning.has(seq)) continue; // it was gone already
    wrong.push(`item ${seq} is missing`);
  }
  const begun = new Set([...account.batches.values()].flatMap(({ ids }) => ids));
  for (const { id } of before.items) begun.add(id);
  for (const { id } of items) if (!begun.has(id)) wrong.push(`nobody appended ${id}`);
  wrong.push(...halves(account, items, removed, last));
  return wrong;
}

/** Revisions grow with the numbers. */
function disorder(items: readonly SeenItem[]): string[] {
  return items.flatMap(({ seq, revision }, index) => {
    const previous = items[index - 1];
    if (previous === undefined || (previous.seq < seq && previous.revision <= revision)) return [];
    return [`${seq} of commit ${revision} stands behind ${previous.seq} of commit ${previous.revision}`];
  });
}

/** Numbers with which different items were seen, by whomever. */
function contradictions(account: Account, before: FinalTranscript, after: FinalTranscript): string[] {
  const known = new Map<number, string>();
  const revisions = new Map<number, number>();
  const wrong = new Set<string>();
  const learn = (seq: number, id: string, revision?: number): void => {
    const other = known.get(seq) ?? id;
    if (other !== id) wrong.add(`${seq} is ${other} and ${id}`);
    known.set(seq, other);
    if (revision === undefined) return;
    const commit = revisions.get(seq) ?? revision;
    if (commit !== revision) wrong.add(`${seq} is of the commits ${commit} and ${revision}`);
    revisions.set(seq, commit);
  };
  for (const { seq, id, revision } of [...before.items, ...after.items, ...account.seen])
    learn(seq, id, revision);
  for (const { seq, id } of account.sent) learn(seq, id);
  return [...wrong];
}

/** Removals that have happened. */
function removals(
  account: Account,
  present: ReadonlyMap<number, SeenItem>,
  mayLose: boolean,
  wrong: string[],
): Removal[] {
  return [...account.removals].flatMap(([write, removal]) => {
    const left = [...present.keys()].filter((seq) => removal.from <= seq && seq <= removal.to);
    if (left.length === 0) return [removal];
    const durable = account.acknowledged.get(write);
    if (durable === true || (durable === false && !mayLose))
      wrong.push(`${left.join(", ")} is there, but ${write} removed it`);
    return [];
  });
}

/**
 * Batches of which some items are there, and others are neither there nor removed. Where anything was removed, one that was sent
 * again says nothing: what is there may have come back under another number.
 */
function halves(
  { batches }: Account,
  items: readonly SeenItem[],
  removed: readonly Removal[],
  last: number,
): string[] {
  const there = new Map(items.map((item) => [item.id, item]));
  const sent = new Map<string, number>();
  for (const { ids } of batches.values()) for (const id of ids) sent.set(id, (sent.get(id) ?? 0) + 1);
  const wasRemoved = (seq: number): boolean =>
    seq <= last && removed.some(({ from, to }) => from <= seq && seq <= to);
  return [...batches].flatMap(([write, { ids }]) => {
    if (removed.length > 0 && ids.some((id) => sent.get(id) !== 1)) return [];
    const found = ids.flatMap((id) => there.get(id) ?? []);
    const [first] = found;
    if (first === undefined) return [];
    const start = first.seq - ids.indexOf(first.id);
    const whole = ids.every((id, index) => {
      const item = there.get(id);
      if (item === undefined) return wasRemoved(start + index);
      return item.seq === start + index && item.revision === first.revision;
    });
    return whole ? [] : [`${write} has ${found.length} of ${ids.length} items, or not side by side`];
  });
}
