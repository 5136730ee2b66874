/**
 * Whether a history of many processes on one store can be explained: is there, for every session, one sequence of
 * states that all acknowledgements, reads, watches and the state in the end agree with?
 *
 * Every write names what it was computed from, so the sequence is not searched for but put together. Then:
 *
 * - an acknowledged write is in it once, an open one at most once, a refused one not at all;
 * - no two writes follow the same state (a lost update), and nothing follows a delete but a new session;
 * - a write that was acknowledged before another one began comes before it, and revisions grow along the sequence;
 * - a write of several sessions is in all their sequences, with one revision;
 * - a read is never older than what was acknowledged, or read by anybody, before it began;
 * - a watch tells the states one after the other, without a gap;
 * - the state in the end is the last one. After a power cut it may be an earlier one, but then no write is lost that
 *   was acknowledged as durable, nor one with a revision below one that was kept.
 */
import type { Change, History, Read, Token, Write } from "./history.js";

/** Sessions by key, each with the token of its state and its revision. */
export type Sessions = ReadonlyMap<string, { readonly token: string; readonly revision: number }>;

export interface Verdict {
  /** What cannot be explained, in words; empty for a good history. */
  readonly wrong: readonly string[];
  readonly acknowledged: number;
  /** Of these, how many a power cut must not undo. */
  readonly durable: number;
  /** Never acknowledged, but found to count. */
  readonly counted: number;
  /** Undone by a power cut, as it may. */
  readonly undone: number;
  readonly reads: number;
  readonly changes: number;
}

/** One session's states in their order; the first one is that of the beginning. */
interface Sequence {
  readonly states: readonly State[];
  readonly positions: ReadonlyMap<string, number>;
}

interface State {
  readonly token: Token;
  /** The write that made it, where it is known: not for the beginning, and not for a delete that nobody heard of. */
  readonly write: Write | undefined;
}

/** @param powerCut Whether the end is what a power cut left. */
export function checkHistory(
  history: History,
  before: Sessions,
  after: Sessions,
  powerCut: boolean,
): Verdict {
  return new Check(history, before, after, powerCut).run();
}

class Check {
  readonly #history: History;
  readonly #before: Sessions;
  readonly #after: Sessions;
  readonly #powerCut: boolean;
  readonly #wrong: string[] = [];
  /** Tokens of writes that are known to count. */
  readonly #counting = new Set<string>();
  readonly #undone = new Set<string>();

  constructor(history: History, before: Sessions, after: Sessions, powerCut: boolean) {
    this.#history = history;
    this.#before = before;
    this.#after = after;
    this.#powerCut = powerCut;
  }

  run(): Verdict {
    const { writes, reads, changes } = this.#history;
    for (const sessions of [this.#before, this.#after]) {
      for (const { token, revision } of sessions.values()) this.#history.learn(token, revision);
    }
    this.#findCounting();
    this.#checkRevisions();
    const readsOf = groups(reads, ({ key }) => [key]);
    const changesOf = groups(changes, ({ key }) => [key]);
    const writesOf = groups(writes.values(), ({ keys }) => keys);
    const keys = new Set([...this.#before.keys(), ...this.#after.keys(), ...writesOf.keys()]);
    const kept = Math.max(0, ...[...this.#after.values()].map(({ revision }) => revision));
    for (const key of keys) {
      const own = writesOf.get(key) ?? [];
      const blind = own.some(({ kind }) => kind === "overwrite");
      const sequence = blind ? this.#byRevision(key, own) : this.#byBase(key, own);
      this.#checkOrder(key, sequence);
      this.#checkReads(key, sequence, readsOf.get(key) ?? []);
      this.#checkChanges(key, sequence, changesOf.get(key) ?? []);
      this.#checkEnd(key, sequence, kept);
    }
    const all = [...writes.values()];
    const acknowledged = all.filter(({ outcome }) => outcome === "acknowledged");
    return {
      wrong: this.#wrong,
      acknowledged: acknowledged.length,
      durable: acknowledged.filter(({ durable }) => durable).length,
      counted: all.filter(({ token, outcome }) => outcome === "open" && this.#counting.has(token)).length,
      undone: this.#undone.size,
      reads: reads.length,
      changes: changes.length,
    };
  }

  /** What was acknowledged or seen by anybody counts, and so does what it was computed from. */
  #findCounting(): void {
    const { writes, reads, changes } = this.#history;
    const queue: Token[] = [...this.#after.values(), ...reads, ...changes].map(({ token }) => token);
    for (const { token, outcome } of writes.values()) if (outcome === "acknowledged") queue.push(token);
    const known = new Set([...this.#before.values()].map(({ token }) => token));
    for (let token = queue.pop(); token !== undefined; token = queue.pop()) {
      if (token === null || known.has(token) || this.#counting.has(token)) continue;
      this.#counting.add(token);
      const write = writes.get(token);
      if (write === undefined) this.#wrong.push(`${token} was seen, and nobody wrote it`);
      else if (write.outcome === "refused" || write.outcome === "nothing") {
        this.#wrong.push(`${token} (${write.kind}) counts, although its call said that it did not`);
      }
      queue.push(...(write?.bases.values() ?? []));
    }
  }

  #checkRevisions(): void {
    const tokens = new Map<number, string>();
    for (const [token, revisions] of this.#history.revisions) {
      if (revisions.size > 1) this.#wrong.push(`${token} has the revisions ${[...revisions].join(", ")}`);
      for (const revision of revisions) {
        const other = tokens.get(revision);
        if (other !== undefined && other !== token) {
          this.#wrong.push(`${token} and ${other} both have the revision ${revision}`);
        }
        tokens.set(revision, token);
      }
    }
  }

  #revisionOf(token: Token): number | undefined {
    if (token === null) return undefined;
    const [revision] = this.#history.revisions.get(token) ?? [];
    return revision;
  }

  /** For sessions that are overwritten without a look and never deleted: revisions tell the order. */
  #byRevision(key: string, own: readonly Write[]): Sequence {
    const known = own.filter(({ token }) => this.#counting.has(token));
    const order = (write: Write): number => this.#revisionOf(write.token) ?? 0;
    known.sort((a, b) => order(a) - order(b));
    const states: State[] = [{ token: this.#before.get(key)?.token ?? null, write: undefined }];
    for (const write of known) states.push({ token: write.token, write });
    return sequenceOf(states);
  }

  /** Follows each write from what it was computed from: first to last, one life of the session after the other. */
  #byBase(key: string, own: readonly Write[]): Sequence {
    const followers = new Map<Token, Write[]>();
    for (const write of own) {
      if (!this.#counting.has(write.token)) continue;
      const base = write.bases.get(key);
      if (base === undefined) this.#wrong.push(`${write.token} counts, and looked at nothing of ${key}`);
      else addTo(followers, base, write);
    }
    const first = this.#before.get(key)?.token ?? null;
    const births = (followers.get(null) ?? []).map((write) => this.#life(key, write.token, write, followers));
    const lives = first === null ? [] : [this.#life(key, first, undefined, followers)];
    lives.push(...births.sort((a, b) => this.#revisionOfLife(a) - this.#revisionOfLife(b)));
    const states: State[] = first === null ? [{ token: null, write: undefined }] : [];
    for (const [index, life] of lives.entries()) {
      states.push(...life);
      const last = life.at(-1);
      const isLastLife = index === lives.length - 1;
      if (last === undefined || last.token === null) continue;
      if (isLastLife && !this.#powerCut && this.#after.has(key)) continue;
      const unheard = unheardDelete(key, last.token, own);
      // Before a power cut, somebody may have deleted it without hearing so, others may have seen that, and it may be undone.
      if (unheard === undefined && isLastLife && this.#powerCut) continue;
      if (unheard === undefined) this.#wrong.push(`${key}: ${last.token} is gone, and nobody deleted it`);
      states.push({ token: null, write: unheard });
    }
    const placed = new Set(states.map(({ write }) => write?.token));
    for (const write of [...followers.values()].flat()) {
      if (!placed.has(write.token)) this.#wrong.push(`${key}: ${write.token} follows a state that never was`);
    }
    return sequenceOf(states);
  }

  #life(
    key: string,
    token: string,
    write: Write | undefined,
    followers: ReadonlyMap<Token, readonly Write[]>,
  ): State[] {
    const states: State[] = [{ token, write }];
    for (let current = token; ;) {
      const [next, ...others] = followers.get(current) ?? [];
      for (const other of others) {
        this.#wrong.push(`${key}: ${other.token} and ${next?.token} were both computed from ${current}`);
      }
      if (next === undefined) return states;
      const isDelete = next.kind === "delete";
      states.push({ token: isDelete ? null : next.token, write: next });
      if (isDelete) return states;
      current = next.token;
      if (states.length > this.#history.writes.size + 1) throw new Error(`${key}: a circle at ${current}`);
    }
  }

  #revisionOfLife(life: readonly State[]): number {
    for (const { token } of life) {
      const revision = this.#revisionOf(token);
      if (revision !== undefined) return revision;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Real time and revisions: both grow along the sequence. */
  #checkOrder(key: string, { states }: Sequence): void {
    let begun = 0;
    let beginner = "";
    let revision = 0;
    for (const { token, write } of states) {
      if (write !== undefined && write.begin > begun) {
        begun = write.begin;
        beginner = write.token;
      }
      if (write !== undefined && write.end < begun) {
        this.#wrong.push(`${key}: ${write.token} comes after ${beginner}, which began when it had ended`);
      }
      const own = this.#revisionOf(token);
      if (own === undefined) continue;
      if (own <= revision) this.#wrong.push(`${key}: ${token} has revision ${own}, after ${revision}`);
      revision = own;
    }
  }

  #checkReads(key: string, { states, positions }: Sequence, reads: readonly Read[]): void {
    const ends = states.flatMap(({ write }, position) => {
      return write?.outcome === "acknowledged" ? [{ end: write.end, position }] : [];
    });
    const events: { end: number; position: number; read?: Read }[] = [...ends];
    for (const read of reads) events.push({ end: read.end, position: -1, read });
    events.sort((a, b) => a.end - b.end);
    const resolved = new Map(events.flatMap((event) => (event.read ? [[event.read, event]] : [])));
    const begun: number[] = [];
    for (const { write } of states) begun.push(Math.max(begun.at(-1) ?? 0, write?.begin ?? 0));
    let least = 0;
    let passed = 0;
    // In the order of their beginnings: whatever ended before one of them has its place already.
    for (const read of reads.toSorted((a, b) => a.begin - b.begin)) {
      for (
        let event = events[passed];
        event !== undefined && event.end < read.begin;
        event = events[++passed]
      ) {
        least = Math.max(least, event.position);
      }
      const position =
        read.token === null
          ? states.findIndex(({ token }, index) => token === null && index >= least)
          : (positions.get(read.token) ?? -1);
      const event = resolved.get(read);
      if (event !== undefined) event.position = position;
      const what = `${read.by} read ${read.token ?? "nothing"} from ${key}`;
      if (position === -1) this.#wrong.push(`${what}, which was not there at that time`);
      else if (position < least) this.#wrong.push(`${what}, but ${states[least]?.token} was known before`);
      else if ((begun[position] ?? 0) > read.end) this.#wrong.push(`${what} before anybody wrote it`);
    }
  }

  /** One watch tells one state after the other. */
  #checkChanges(key: string, { states, positions }: Sequence, changes: readonly Change[]): void {
    for (const [watch, told] of groups(changes, (change) => [change.watch])) {
      let last: number | undefined;
      for (const { token } of told) {
        const next = last === undefined ? undefined : last + 1;
        // A delete that comes first may be any of them.
        if (token === null && next === undefined) continue;
        const position = token === null ? next : positions.get(token);
        const state = states[position ?? -1];
        if (state === undefined || state.token !== token || (next !== undefined && position !== next)) {
          const expected = states[next ?? -1]?.token ?? "nothing";
          this.#wrong.push(`${watch} tells ${token ?? "a delete"} of ${key}, not ${expected}`);
        }
        last = position;
      }
    }
  }

  #checkEnd(key: string, { states, positions }: Sequence, kept: number): void {
    const token = this.#after.get(key)?.token ?? null;
    let end = token === null ? -1 : (positions.get(token) ?? -1);
    const must = this.#powerCut
      ? states.findLastIndex(({ write }) => write?.outcome === "acknowledged" && write.durable)
      : states.length - 1;
    if (token === null) end = states.findLastIndex((state) => state.token === null);
    if (end < must) {
      const lost = states[must];
      this.#wrong.push(
        `${key} is ${token ?? "absent"} in the end, not ${lost?.token ?? "absent"} (${lost?.write?.token})`,
      );
    }
    for (const { token: lost, write } of states.slice(end + 1)) {
      const revision = this.#revisionOf(lost);
      if (write !== undefined) this.#undone.add(write.token);
      if (end >= must && revision !== undefined && revision < kept) {
        this.#wrong.push(`${key} lost ${lost} with revision ${revision}, and ${kept} was kept`);
      }
    }
  }
}

function sequenceOf(states: readonly State[]): Sequence {
  const positions = new Map<string, number>();
  for (const [index, { token }] of states.entries()) if (token !== null) positions.set(token, index);
  return { states, positions };
}

/** Something ended a life, and nobody heard that it did: a delete that was computed from its last state. */
function unheardDelete(key: string, last: string, own: readonly Write[]): Write | undefined {
  const candidates = own.filter(({ kind, outcome, bases }) => {
    return kind === "delete" && outcome === "open" && bases.get(key) === last;
  });
  return candidates.sort((a, b) => a.begin - b.begin)[0];
}

function groups<V>(values: Iterable<V>, namesOf: (value: V) => readonly string[]): Map<string, V[]> {
  const found = new Map<string, V[]>();
  for (const value of values) for (const name of namesOf(value)) addTo(found, name, value);
  return found;
}

function addTo<K, V>(lists: Map<K, V[]>, name: K, value: V): void {
  const list = lists.get(name);
  if (list === undefined) lists.set(name, [value]);
  else list.push(value);
}
