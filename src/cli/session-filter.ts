/**
 * Which sessions `ls` is asked for besides their order: by a field, by age, by size, by what is in them.
 *
 * The store answers what its catalog knows; the rest is looked up here, session by session, so it costs as much as reading them.
 */
import { SessionStoreError } from "../errors.js";
import type { DamagedSession, ListQuery, SessionList, SessionRecord } from "../store/types.js";
import {
  hasStep,
  parseCondition,
  type Comparison,
  type FieldCondition,
  type FieldPath,
} from "./field-path.js";
import { needsPerson, type Invocation } from "./invocation.js";
import type { Entry, Store } from "./open-store.js";
import { factsOf } from "./session-facts.js";

export interface FilterOptions {
  /** As in `channel=telegram`; all must hold. */
  readonly where?: readonly string[];
  /** Milliseconds. */
  readonly olderThan?: number;
  /** Bytes. */
  readonly largerThan?: number;
  readonly grep?: string;
}

/** Sessions that are read before the next ones are asked for. */
const PAGE_SESSIONS = 1000;
const PAGE_ITEMS = 1000;

export class SessionFilter {
  private constructor(
    private readonly invocation: Invocation,
    private readonly conditions: readonly FieldCondition[],
    private readonly options: FilterOptions,
    /** Milliseconds since 1970. */
    private readonly changedBefore: number | undefined,
  ) {}

  /** Undefined: all sessions are meant. */
  static of(invocation: Invocation, options: FilterOptions): SessionFilter | undefined {
    const { where = [], olderThan, largerThan, grep } = options;
    const conditions = where.map((text) => parseCondition(text, "--where"));
    if (conditions.length === 0 && (olderThan ?? largerThan ?? grep) === undefined) return undefined;
    const before = olderThan === undefined ? undefined : Date.now() - olderThan;
    return new SessionFilter(invocation, conditions, options, before);
  }

  /** The sessions that match, in the order of the query; its limit is of these. */
  async list(store: Store, query: ListQuery): Promise<SessionList<Entry>> {
    const { limit = Number.POSITIVE_INFINITY } = query;
    const ofStore = { ...query, updatedBefore: this.changedBefore };
    const sessions: SessionRecord<Entry>[] = [];
    const damaged = new Map<string, DamagedSession>();
    let { cursor } = query;
    for (;;) {
      const page = await store.list({ ...ofStore, cursor, limit: PAGE_SESSIONS });
      for (const one of page.damaged ?? []) damaged.set(JSON.stringify([one.path, one.key]), one);
      const found = (next: string | undefined): SessionList<Entry> => ({
        sessions,
        ...(next !== undefined && { cursor: next }),
        ...(damaged.size > 0 && { damaged: [...damaged.values()] }),
      });
      for (const [index, record] of page.sessions.entries()) {
        this.invocation.signal.throwIfAborted();
        if (!(await this.#matches(store, record))) continue;
        sessions.push(record);
        if (sessions.length < limit) continue;
        const isLast = index === page.sessions.length - 1;
        // Right behind this one: a page that ends with it has the cursor for that.
        return found(
          isLast ? page.cursor : (await store.list({ ...ofStore, cursor, limit: index + 1 })).cursor,
        );
      }
      ({ cursor } = page);
      if (cursor === undefined) return found(undefined);
    }
  }

  async #matches(store: Store, record: SessionRecord<Entry>): Promise<boolean> {
    const { largerThan, grep } = this.options;
    if (!this.#isOldEnough(record)) return false;
    if (!this.conditions.every((condition) => holds(condition, record))) return false;
    if (largerThan === undefined && grep === undefined) return true;
    const json = JSON.stringify(record.entry);
    if (largerThan !== undefined && Buffer.byteLength(json) <= largerThan) return false;
    if (grep === undefined) return true;
    // As it stands in JSON, without the quotes.
    const wanted = JSON.stringify(grep).slice(1, -1);
    return (
      record.key.includes(grep) || json.includes(wanted) || this.#isInTranscripts(store, record.key, wanted)
    );
  }

  /** Of a session without a time of its own it counts when its record was written. */
  #isOldEnough({ entry, modifiedAt }: SessionRecord<Entry>): boolean {
    if (this.changedBefore === undefined) return true;
    const { updatedAt } = entry;
    return (typeof updatedAt === "number" ? updatedAt : modifiedAt) < this.changedBefore;
  }

  async #isInTranscripts(store: Store, key: string, wanted: string): Promise<boolean> {
    const { signal } = this.invocation;
    try {
      for (const transcript of await store.transcripts(key))
        for await (const { item } of store.iterateItems(key, { transcript, pageItems: PAGE_ITEMS, signal }))
          if (JSON.stringify(item).includes(wanted)) return true;
    } catch (error) {
      if (!(error instanceof SessionStoreError) || !UNREADABLE.has(error.code)) throw error;
      needsPerson(this.invocation);
      this.invocation.terminal.warn(error.code, `not all of it was searched: ${error.message}`, {
        ...error.data,
        key,
      });
    }
    return false;
  }
}

const UNREADABLE: ReadonlySet<string> = new Set(["transcript_damaged", "session_damaged", "log_damaged"]);

/** Whether a session is as a condition says. What the listing shows under a name is meant before the field of that name. */
function holds({ path, operator, value }: FieldCondition, record: SessionRecord<Entry>): boolean {
  const found = valueAt(path, record);
  if (operator === undefined) return found.isThere;
  if (operator === "!=") return !found.isThere || !isEqual(found.value, value);
  return found.isThere && compares(found.value, operator, value);
}

function valueAt(
  path: FieldPath,
  record: SessionRecord<Entry>,
): { readonly isThere: boolean; readonly value?: unknown } {
  const [{ name }] = path;
  const facts = factsOf(record);
  if (path.length === 1 && Object.hasOwn(facts, name))
    return { isThere: true, value: facts[name as keyof typeof facts] };
  let value: unknown = record.entry;
  for (const step of path) {
    if (!hasStep(value, step)) return { isThere: false };
    value = value[step.name];
  }
  return { isThere: true, value };
}

function compares(actual: unknown, operator: Exclude<Comparison, "!=">, value: string): boolean {
  if (operator === "=") return isEqual(actual, value);
  const wanted = typeof actual === "number" ? Number(value) : value;
  if (typeof actual !== typeof wanted || value === "" || Number.isNaN(wanted)) return false;
  const [a, b] = [actual, wanted] as [number, number]; // or two texts, which compare alike
  return operator === "<" ? a < b : operator === "<=" ? a <= b : operator === ">" ? a > b : a >= b;
}

/** A value is what it is in JSON; of a text the quotes may be left out. */
function isEqual(actual: unknown, value: string): boolean {
  return (typeof actual === "string" && actual === value) || JSON.stringify(actual) === value.trim();
}
