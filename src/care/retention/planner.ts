/**
 * Decides for each session of a store whether it is kept or removed, and because of which rule. A function of the sessions, the policy
 * and the time: a dry run and a real run ask it alike, and two processes that see the same sessions decide the same.
 *
 * In memory are, for each session, its key and a few numbers; so a hundred thousand of them are some megabytes. Work over all of them
 * is done in slices, between which others have their turn.
 *
 * What cannot be judged is kept: a session without a time, with one that cannot be true, or that cannot be read.
 */
import { isOlder, fieldTime, readTime } from "./age.js";
import type { Policy, Rule } from "./policy.js";
import type { RetentionSession } from "./policy-types.js";

/**
 * Removed because of `olderThan`, `ttl`, `maxCount` of its rule, or `maxBytes` of the store. Kept because
 *  - `named`: it is one of `keep`
 *  - `rule`: its rule keeps it for ever
 *  - `noRule`: none matches
 *  - `within`: no limit takes it
 *  - `keepNewest`: a limit would take it, and it is one of the latest of its rule
 *  - `noTime`, `unbelievableTime`, `futureTime`: what its `updatedAt` is, by which a limit would have to judge
 *  - `badField`: the field of its `ttl` is there, and is no time
 *  - `damaged`: it cannot be read
 */
export type Reason = RemovalReason | KeepReason;
export type RemovalReason = "olderThan" | "ttl" | "maxCount" | "maxBytes";
export type KeepReason =
  | "named"
  | "rule"
  | "noRule"
  | "within"
  | "keepNewest"
  | "noTime"
  | "unbelievableTime"
  | "futureTime"
  | "badField"
  | "damaged";

const REMOVES: ReadonlySet<Reason> = new Set<RemovalReason>(["olderThan", "ttl", "maxCount", "maxBytes"]);
const NO_TIME = { none: "noTime", unbelievable: "unbelievableTime", future: "futureTime" } as const;

/** What is decided about one session. */
export interface Decision {
  readonly key: string;
  /** When the plan was made; 0 of one that cannot be read. */
  readonly revision: number;
  readonly action: "keep" | "remove";
  readonly reason: Reason;
  /** Name of the rule that decided, if one matched. */
  readonly rule?: string;
  /** Of that rule or of the store, as it was written. */
  readonly limit?: string | number;
  /** Milliseconds since 1970, if it can be believed. */
  readonly updatedAt?: number;
  /** Of its files; only where the policy has a bound for the store. */
  readonly bytes?: number;
}

/** What a rule comes to. */
export interface RuleSummary {
  readonly name: string;
  /** Sessions that it is the first one to match. */
  readonly matched: number;
  readonly removed: number;
  /** Those whose time or field says nothing that can be believed: they are kept. */
  readonly unjudged: number;
}

/** A limit that is exceeded when all is done that the plan says. */
export interface ExceededLimit {
  readonly limit: "maxCount" | "maxBytes";
  readonly rule?: string;
  readonly allowed: number;
  readonly actual: number;
}

export interface Verdict {
  readonly removed: number;
  /** Sessions by what was decided. */
  readonly reasons: Readonly<Partial<Record<Reason, number>>>;
  readonly rules: readonly RuleSummary[];
  readonly exceeded: readonly ExceededLimit[];
  /** Latest time that any session tells and that is not in the future; undefined: none does. */
  readonly newest: number | undefined;
  /** Of all sessions and of those that go; only where the policy has a bound for the store. */
  readonly bytes?: { readonly before: number; readonly removed: number };
}

/** Gives others their turn. */
export type Breathe = () => Promise<void>;

/** Sessions between two turns of the event loop: a few milliseconds. */
const SLICE = 4096;

export class Planner {
  readonly #keys: string[] = [];
  readonly #revisions: number[] = [];
  /** NaN: none that can be believed. */
  readonly #times: number[] = [];
  /** Index of its rule, or -1. */
  readonly #rules: number[] = [];
  readonly #reasons: Reason[] = [];
  readonly #bytes: number[] = [];
  readonly #unjudged: number[];
  #newest = Number.NEGATIVE_INFINITY;
  #otherBytes = 0;

  constructor(
    private readonly policy: Policy,
    private readonly now: number,
  ) {
    this.#unjudged = policy.rules.map(() => 0);
  }

  get sessions(): number {
    return this.#keys.length;
  }

  /**
   * Takes a session, which a policy's functions see now and never again.
   * @param bytes Of its files.
   */
  add(session: RetentionSession, bytes = 0): void {
    const { key, revision, modifiedAt, entry } = session;
    const { policy, now } = this;
    const updatedAt = Object.hasOwn(entry, "updatedAt") ? entry["updatedAt"] : undefined;
    const read = readTime(updatedAt, now);
    for (const time of [read, readTime(modifiedAt, now)])
      if (time.kind === "time" && time.time > this.#newest) this.#newest = time.time;
    const time = read.kind === "time" ? read.time : Number.NaN;
    if (policy.isKept(key)) return this.#push(key, revision, time, -1, "named", bytes);
    const index = policy.rules.findIndex((rule) => rule.matches(session));
    const rule = policy.rules[index];
    const reason = rule === undefined ? "noRule" : this.#judge(rule, entry, read);
    if (reason === "badField" || Object.values<Reason>(NO_TIME).includes(reason))
      this.#unjudged[index] = (this.#unjudged[index] ?? 0) + 1;
    this.#push(key, revision, time, index, reason, bytes);
  }

  /** A session that is there and cannot be read: it stays. */
  addDamaged(key: string): void {
    this.#push(key, 0, Number.NaN, -1, "damaged", 0);
  }

  /** Bytes of the store that no session has for itself. */
  addBytes(bytes: number): void {
    this.#otherBytes += bytes;
  }

  /** What a rule says of a session by itself, without the others. */
  #judge(rule: Rule, entry: RetentionSession["entry"], read: ReturnType<typeof readTime>): Reason {
    if (rule.keep) return "rule";
    const field = rule.ttl === undefined ? undefined : valueAt(entry, rule.ttl.path);
    const expiresAt = fieldTime(field);
    if (expiresAt !== undefined && expiresAt <= this.now) return "ttl";
    const judgesTime = rule.olderThan !== undefined || rule.maxCount !== undefined;
    if (judgesTime && read.kind !== "time") return NO_TIME[read.kind];
    if (
      rule.olderThan !== undefined &&
      read.kind === "time" &&
      isOlder(read.time, this.now - rule.olderThan.ms)
    )
      return "olderThan";
    return field !== undefined && expiresAt === undefined ? "badField" : "within";
  }

  #push(key: string, revision: number, time: number, rule: number, reason: Reason, bytes: number): void {
    this.#keys.push(key);
    this.#revisions.push(revision);
    this.#times.push(time);
    this.#rules.push(rule);
    this.#reasons.push(reason);
    this.#bytes.push(bytes);
  }

  /** All sessions have come: those that depend on the others are decided. */
  async finish(breathe: Breathe): Promise<Verdict> {
    const order = await this.#oldestFirst(breathe);
    await this.#countLimits(order, breathe);
    const bytes = this.policy.store && (await this.#byteLimit(order, this.policy.store, breathe));
    return this.#verdict(bytes, breathe);
  }

  /** Of a session that was added, by its place. */
  decision(index: number): Decision {
    const reason = this.#reasons[index] ?? "damaged";
    const rule = this.policy.rules[this.#rules[index] ?? -1];
    const time = this.#times[index] ?? Number.NaN;
    const limit = limitOf(reason, rule, this.policy);
    return {
      key: this.#keys[index] ?? "",
      revision: this.#revisions[index] ?? 0,
      action: REMOVES.has(reason) ? "remove" : "keep",
      reason,
      ...(rule !== undefined && { rule: rule.name }),
      ...(limit !== undefined && { limit }),
      ...(!Number.isNaN(time) && { updatedAt: time }),
      ...(this.policy.store !== undefined && { bytes: this.#bytes[index] ?? 0 }),
    };
  }

  isRemoved(index: number): boolean {
    return REMOVES.has(this.#reasons[index] ?? "damaged");
  }

  /** Place of a session; undefined: there is none of that key. */
  indexOf(key: string): number | undefined {
    const index = this.#keys.indexOf(key);
    return index < 0 ? undefined : index;
  }

  /** Sessions with a time, by time and then by key, as listings have it. */
  async #oldestFirst(breathe: Breathe): Promise<Int32Array> {
    const [times, keys] = [this.#times, this.#keys];
    const places: number[] = [];
    for (const [index, time] of times.entries()) if (!Number.isNaN(time)) places.push(index);
    return sortInSlices(
      Int32Array.from(places),
      (a, b) => {
        const [first, second] = [times[a] ?? 0, times[b] ?? 0];
        if (first !== second) return first - second;
        return (keys[a] ?? "") < (keys[b] ?? "") ? -1 : 1;
      },
      breathe,
    );
  }

  /** The latest first: who is among the latest of a rule stays, and who comes behind so many that stay goes. */
  async #countLimits(order: Int32Array, breathe: Breathe): Promise<void> {
    const { rules } = this.policy;
    const seen = rules.map(() => 0);
    const stay = rules.map(() => 0);
    for (let at = order.length - 1; at >= 0; at--) {
      if (at % SLICE === 0) await breathe();
      const index = order[at] ?? 0;
      const of = this.#rules[index] ?? -1;
      const rule = rules[of];
      if (rule === undefined || rule.keep) continue;
      seen[of] = (seen[of] ?? 0) + 1;
      const isTaken = this.isRemoved(index);
      if ((seen[of] ?? 0) <= rule.keepNewest) {
        if (isTaken) this.#reasons[index] = "keepNewest";
      } else if (isTaken) continue;
      else if (rule.maxCount !== undefined && (stay[of] ?? 0) >= rule.maxCount) {
        this.#reasons[index] = "maxCount";
        continue;
      }
      stay[of] = (stay[of] ?? 0) + 1;
    }
  }

  /** The oldest first, until there is room. Whom a rule or a name protects is passed over. */
  async #byteLimit(
    order: Int32Array,
    { maxBytes, targetBytes }: NonNullable<Policy["store"]>,
    breathe: Breathe,
  ): Promise<{ readonly before: number; readonly removed: number }> {
    let before = this.#otherBytes;
    let removed = 0;
    for (const [index, bytes] of this.#bytes.entries()) {
      before += bytes;
      if (this.isRemoved(index)) removed += bytes;
    }
    if (before - removed <= maxBytes) return { before, removed };
    const latest = await this.#latestOfRules(order, breathe);
    for (const [at, index] of order.entries()) {
      if (at % SLICE === 0) await breathe();
      if (before - removed <= targetBytes) break;
      const reason = this.#reasons[index] ?? "damaged";
      if (reason !== "within" && reason !== "noRule" && reason !== "badField") continue;
      if (latest.has(index)) continue;
      this.#reasons[index] = "maxBytes";
      removed += this.#bytes[index] ?? 0;
    }
    return { before, removed };
  }

  /** Those that `keepNewest` protects. */
  async #latestOfRules(order: Int32Array, breathe: Breathe): Promise<ReadonlySet<number>> {
    const { rules } = this.policy;
    const seen = rules.map(() => 0);
    const latest = new Set<number>();
    for (let at = order.length - 1; at >= 0; at--) {
      if (at % SLICE === 0) await breathe();
      const index = order[at] ?? 0;
      const of = this.#rules[index] ?? -1;
      if (of < 0) continue;
      seen[of] = (seen[of] ?? 0) + 1;
      if ((seen[of] ?? 0) <= (rules[of]?.keepNewest ?? 0)) latest.add(index);
    }
    return latest;
  }

  async #verdict(bytes: Verdict["bytes"], breathe: Breathe): Promise<Verdict> {
    const { rules, store } = this.policy;
    const reasons: Partial<Record<Reason, number>> = {};
    const counts = rules.map(() => ({ matched: 0, removed: 0 }));
    let removed = 0;
    for (const [index, reason] of this.#reasons.entries()) {
      if (index % SLICE === 0) await breathe();
      reasons[reason] = (reasons[reason] ?? 0) + 1;
      const isRemoved = REMOVES.has(reason);
      if (isRemoved) removed += 1;
      const of = counts[this.#rules[index] ?? -1];
      if (of === undefined) continue;
      of.matched += 1;
      if (isRemoved) of.removed += 1;
    }
    const exceeded: ExceededLimit[] = [];
    const summaries = rules.map(({ name, maxCount }, index): RuleSummary => {
      const count = counts[index] ?? { matched: 0, removed: 0 };
      const left = count.matched - count.removed;
      if (maxCount !== undefined && left > maxCount)
        exceeded.push({ limit: "maxCount", rule: name, allowed: maxCount, actual: left });
      return { name, ...count, unjudged: this.#unjudged[index] ?? 0 };
    });
    if (store !== undefined && bytes !== undefined && bytes.before - bytes.removed > store.maxBytes)
      exceeded.push({
        limit: "maxBytes",
        allowed: store.maxBytes,
        actual: bytes.before - bytes.removed,
      });
    const newest = Number.isFinite(this.#newest) ? this.#newest : undefined;
    return { removed, reasons, rules: summaries, exceeded, newest, ...(bytes && { bytes }) };
  }
}

function limitOf(reason: Reason, rule: Rule | undefined, { store }: Policy): string | number | undefined {
  if (reason === "olderThan") return rule?.olderThan?.text;
  if (reason === "ttl" || reason === "badField") return rule?.ttl?.text;
  if (reason === "maxCount") return rule?.maxCount;
  if (reason === "keepNewest") return rule?.keepNewest;
  return reason === "maxBytes" ? store?.maxBytes : undefined;
}

/** An entry's own fields only: names come from a file, and `__proto__` is one like any other. */
function valueAt(entry: RetentionSession["entry"], path: readonly string[]): unknown {
  let value: unknown = entry;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[step];
  }
  return value;
}

/** Merge sort, with a turn for others after each slice. */
async function sortInSlices(
  given: Int32Array,
  compare: (a: number, b: number) => number,
  breathe: Breathe,
): Promise<Int32Array> {
  let from: Int32Array = given;
  for (let start = 0; start < from.length; start += SLICE) {
    from.subarray(start, start + SLICE).sort(compare);
    await breathe();
  }
  let into: Int32Array = new Int32Array(from.length);
  for (let width = SLICE; width < from.length; width *= 2) {
    for (let start = 0; start < from.length; start += 2 * width) {
      const middle = Math.min(start + width, from.length);
      const end = Math.min(start + 2 * width, from.length);
      let [left, right] = [start, middle];
      for (let at = start; at < end; at++) {
        if (at % SLICE === 0) await breathe();
        const takesLeft = left < middle && (right >= end || compare(from[left] ?? 0, from[right] ?? 0) <= 0);
        into[at] = from[takesLeft ? left++ : right++] ?? 0;
      }
    }
    [from, into] = [into, from];
  }
  return from;
}
