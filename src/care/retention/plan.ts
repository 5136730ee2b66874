/**
 * What a policy would do to a store: which sessions stay and which go, each because of something, and whether that may be done at once.
 * Nothing is changed, so a store that was opened `readOnly` will do.
 *
 * Sessions are listed by key, page by page: one whose time changes meanwhile is not missed. The plan tells the revision of each, and of the
 * store right before: whoever acts on it leaves alone what was changed since.
 */
import { SessionStoreError } from "../../errors.js";
import { statusOf, namesIn } from "../../fs/status.js";
import { Layout } from "../../format/layout.js";
import { throwIfAborted } from "../../store/retry.js";
import type { SessionRecord } from "../../store/types.js";
import type { AnyStore } from "../moving/options.js";
import { SYSTEM, told, type RetentionHost } from "./host.js";
import { Planner, type Decision, type Verdict } from "./planner.js";
import { checkPolicy, keeping, type Policy } from "./policy.js";
import type { RetentionMode, RetentionPolicy } from "./policy-types.js";

export interface PlanOptions {
  /** More sessions that never go, by key; `*` is any text. Default: those of the policy alone. */
  readonly keep?: readonly string[] | undefined;
  /**
   * So many sessions may go, whatever share of the store that is; if the plan has more, it is stopped. Default: the policy's `maxShare`
   * decides.
   */
  readonly yesRemove?: number | undefined;
  /** Hears how many sessions were looked at. */
  readonly onProgress?: ((sessions: number) => void) | undefined;
  /** Ends the work with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Why a plan may not be carried out:
 *  - `share`: it removes more than `maxShare` of all sessions
 *  - `number`: it removes more than `yesRemove` said
 *  - `clock`: no session was touched for a year, or so this machine's clock says; `yesRemove` says that it is right
 */
export interface Stop {
  readonly reason: "share" | "number" | "clock";
  /** Sessions that may go. */
  readonly allowed: number;
  /** Milliseconds since 1970: of `clock`, when the store was touched last. */
  readonly newest?: number;
}

export interface RetentionPlan extends Omit<Verdict, "newest"> {
  readonly mode: RetentionMode;
  /** What the time was: milliseconds since 1970. */
  readonly now: number;
  /** Of the store, right before it was looked at. */
  readonly revision: number;
  /** Which store; undefined: it is no directory. */
  readonly storeId: string | undefined;
  readonly sessions: number;
  readonly stop?: Stop;
  /** Nothing goes, although a limit is exceeded: the policy cannot do what it is for. */
  readonly alarm: boolean;
  /** Of each session, by key; those that cannot be read last. */
  decisions(): IterableIterator<Decision>;
  /** Of those that go. */
  removals(): IterableIterator<Decision>;
  /** Of one session; undefined: there was none. */
  explain(key: string): Decision | undefined;
}

/** Rows of a listing in memory at once; reading so many cold sessions takes some milliseconds. */
const PAGE_SESSIONS = 100;
const SILENCE_MS_MAX = 365 * 24 * 3600 * 1000;

/**
 * Plans. With the mode `off` nothing is looked at, and nothing goes.
 * @param policy As it is written in code, or what `readPolicyFile` gave.
 * @throws `TypeError` for a policy that cannot be understood; what a rule's function throws; what reading the store throws.
 * @example
 * const plan = await planRetention(store, { version: 1, mode: "enforce", rules: [{ name: "all", olderThan: "30d" }] });
 * for (const { key, rule } of plan.removals()) console.log(key, rule);
 */
export function planRetention(
  store: AnyStore,
  policy: RetentionPolicy | Policy,
  options?: PlanOptions,
): Promise<RetentionPlan> {
  return planRetentionOn(SYSTEM, store, policy, options);
}

/** The same on a machine of the caller's, for tests. */
export async function planRetentionOn(
  host: RetentionHost,
  store: AnyStore,
  given: RetentionPolicy | Policy,
  { keep = [], yesRemove, onProgress, signal }: PlanOptions = {},
): Promise<RetentionPlan> {
  if (yesRemove !== undefined && !(Number.isSafeInteger(yesRemove) && yesRemove >= 0))
    throw new TypeError(`yesRemove must be a whole number, not ${yesRemove}`);
  const policy = keeping(policyOf(given), keep);
  return told("look at the sessions", () => plan(host, store, policy, { yesRemove, onProgress, signal }));
}

async function plan(
  host: RetentionHost,
  store: AnyStore,
  policy: Policy,
  { yesRemove, onProgress, signal }: PlanOptions,
): Promise<RetentionPlan> {
  const { runtime } = host;
  const now = runtime.now();
  const planner = new Planner(policy, now);
  const revision = await store.revision();
  const { directory } = await store.stats();
  if (policy.mode !== "off") {
    const bytesOf = policy.store === undefined ? undefined : await measure(host, store);
    if (bytesOf !== undefined) planner.addBytes(bytesOf.shared);
    for await (const page of pages(store, signal)) {
      for (const record of page.sessions) {
        const { key, entry, revision: its, modifiedAt } = record;
        const bytes = await bytesOf?.of(record);
        planner.add(
          { key, entry: entry as Readonly<Record<string, unknown>>, revision: its, modifiedAt },
          bytes,
        );
      }
      for (const key of page.damaged) planner.addDamaged(key);
      onProgress?.(planner.sessions);
      await runtime.yieldToEventLoop();
    }
  }
  const { newest, ...verdict } = await planner.finish(() => runtime.yieldToEventLoop());
  const { removed, exceeded } = verdict;
  const stop = stopOf(verdict, planner.sessions, policy, yesRemove, now, newest);
  return {
    mode: policy.mode,
    now,
    revision,
    storeId: directory?.storeId,
    sessions: planner.sessions,
    ...verdict,
    ...(stop !== undefined && { stop }),
    alarm: removed === 0 && exceeded.length > 0,
    *decisions() {
      for (let index = 0; index < planner.sessions; index++) yield planner.decision(index);
    },
    *removals() {
      for (let index = 0; index < planner.sessions; index++)
        if (planner.isRemoved(index)) yield planner.decision(index);
    },
    explain(key) {
      const index = planner.indexOf(key);
      return index === undefined ? undefined : planner.decision(index);
    },
  };
}

/** A policy that was read has a function for the keys that it keeps. */
export function policyOf(given: RetentionPolicy | Policy): Policy {
  const read = given as Partial<Policy> | null;
  return typeof read?.isKept === "function" ? (given as Policy) : checkPolicy(given as RetentionPolicy);
}

/** So many of all may go: 29 of 100 for 0.29, whose product is a little less. */
export function shareOf(share: number, all: number): number {
  return Math.floor(share * all + 1e-6);
}

function stopOf(
  { removed, reasons }: Omit<Verdict, "newest">,
  sessions: number,
  { maxShare }: Policy,
  yesRemove: number | undefined,
  now: number,
  newest: number | undefined,
): Stop | undefined {
  if (yesRemove !== undefined)
    return removed > yesRemove ? { reason: "number", allowed: yesRemove } : undefined;
  const allowed = shareOf(maxShare, sessions);
  if (removed > allowed) return { reason: "share", allowed };
  const byClock = (reasons.olderThan ?? 0) + (reasons.ttl ?? 0);
  const isSilent = newest !== undefined && now - newest > SILENCE_MS_MAX;
  return byClock > 0 && isSilent ? { reason: "clock", allowed: 0, newest } : undefined;
}

/** Why a plan may not be carried out, as an error. */
export function stopped(
  { reason, allowed, newest }: Stop,
  removed: number,
  sessions: number,
): SessionStoreError {
  const what = {
    share: `that is more than the ${allowed} that may go at once (maxShare)`,
    number: `and --yes-remove allows ${allowed}`,
    clock:
      "and no session was touched for a year, by this machine's clock " +
      `(the latest one ${newest === undefined ? "never" : new Date(newest).toISOString()})`,
  }[reason];
  return new SessionStoreError(
    "retention_stopped",
    `the plan removes ${removed} of ${sessions} sessions, ${what}. Nothing was removed: look at it (--dry-run --list), ` +
      `and if it is right say --yes-remove ${removed}.`,
    { data: { reason, removing: removed, sessions, allowed, newest } },
  );
}

async function* pages(
  store: AnyStore,
  signal: AbortSignal | undefined,
): AsyncGenerator<
  { readonly sessions: readonly SessionRecord<object>[]; readonly damaged: readonly string[] },
  void
> {
  for (let cursor: string | undefined; ;) {
    throwIfAborted(signal);
    const page = await store.list({ limit: PAGE_SESSIONS, cursor });
    const damaged = (page.damaged ?? []).map(({ key, path }) => key ?? path);
    yield { sessions: page.sessions as SessionRecord<object>[], damaged };
    cursor = page.cursor;
    if (cursor === undefined) return;
  }
}

interface Measure {
  /** Of shared values. */
  readonly shared: number;
  of(record: SessionRecord<object>): Promise<number>;
}

/**
 * Bytes of sessions: of a directory those of their files, transcripts too, as `du` counts them; of another store those of the entries as JSON.
 * What was committed a moment ago may not be in its file yet.
 */
async function measure({ fs }: RetentionHost, store: AnyStore): Promise<Measure> {
  const { directory } = await store.stats();
  const jsonBytes = ({ entry }: SessionRecord<object>): number => Buffer.byteLength(JSON.stringify(entry));
  if (directory === undefined) return { shared: 0, of: async (record) => jsonBytes(record) };
  const layout = new Layout(directory.path);
  return {
    shared: directory.blobBytes,
    async of(record) {
      const folder = layout.sessionFolder(record.key);
      let bytes = 0;
      for (const name of await namesIn(fs, folder)) {
        const status = await statusOf(fs, `${folder}/${name}`);
        if (status?.kind === "file") bytes += status.size;
      }
      return bytes > 0 ? bytes : jsonBytes(record);
    },
  };
}
