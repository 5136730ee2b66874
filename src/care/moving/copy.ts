/**
 * Copies all sessions of a store into another one, of whatever engine, through nothing but the interface of stores; and keeps the copy in
 * step, if that is wanted, until the other store is switched to.
 *
 * First everything is copied, as an import does it: what is there already is compared and stays. What changes in the source meanwhile is
 * collected and copied again, session by session, until nothing is left; then both are compared.
 *
 * As long as the copy is not complete the target has a session more, {@link COPY_MARK}: it says so to whoever looks, and the same call
 * goes on where it finds it. So it does not matter where the copy is killed. The mark goes last of all.
 */
import { randomUUID } from "node:crypto";
import { SessionStoreError } from "../../errors.js";
import { throwIfAborted } from "../../store/retry.js";
import { compareSome, differenceOf, type CompareReport, type Difference } from "./compare.js";
import { RecentCopies } from "./copy-append.js";
import { eventsOf } from "./copy-events.js";
import { ChangeCollector } from "./copy-follow.js";
import type { DamagedExport } from "./export.js";
import { importEvents, type ImportReport } from "./import.js";
import type { AnyStore } from "./options.js";
import { selectedKeys } from "./selected-keys.js";
import { takeSnapshot, type SessionSnapshot } from "./session-snapshot.js";

/** Key of the session that the target of a copy has as long as that is not complete. */
export const COPY_MARK = "sessiondir:copy-not-complete";

export interface CopyProgress {
  readonly phase: "copying" | "catching up" | "comparing" | "following";
  /** Sessions so far. */
  readonly done: number;
  /** Sessions of the source, about. */
  readonly total: number;
  /** Revisions that the copy is behind the source. */
  readonly behind: number;
}

export interface CopyOptions {
  /** What the source is called in the mark, for people. Default: nothing. */
  readonly name?: string | undefined;
  /**
   * The target may have sessions that are not of this copy: those that the source has too become like the source's, all others stay.
   * Default false: such a target is refused.
   */
  readonly intoExisting?: boolean | undefined;
  /** Compares both stores at the end. Default true. */
  readonly verify?: boolean | undefined;
  /** Keeps the copy in step until `untilRevision` of the source is in it, or `stop` aborts. Default: it ends when it is complete. */
  readonly follow?:
    { readonly untilRevision?: number | undefined; readonly stop?: AbortSignal | undefined } | undefined;
  /** Ends the work with the signal's reason; the copy is not complete then, and the same call goes on. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
}

export interface CopyReport {
  /** An earlier copy was not complete, and this one went on with it. */
  readonly resumed: boolean;
  readonly created: number;
  readonly replaced: number;
  readonly unchanged: number;
  /** Sessions of the copy that the source has no more. */
  readonly removed: number;
  /** Items that were appended. */
  readonly items: number;
  /** Changed sessions that were copied once more. */
  readonly followed: number;
  /** Every change of the source up to this revision is in the copy. */
  readonly revision: number;
  /** Sessions that cannot be read in the source, and are not in the copy. */
  readonly damaged: readonly DamagedExport[];
  /** Sessions that the target does not take, such as keys that are too long for it. */
  readonly refused: readonly { readonly key: string; readonly message: string }[];
  /** Undefined if it was not compared. */
  readonly compared: CompareReport | undefined;
}

/** How long nothing has to come until nothing is taken to be on the way, where revisions alone do not tell. */
const QUIET_MS = 1000;
/** Between two looks at how far behind the copy is. */
const LOOK_MS = 500;
/** Sessions that differed are copied and compared again so often: the source may be in use. */
const ATTEMPTS_MAX = 5;

/**
 * @returns What was done. `damaged` and `refused` are not in the copy, and no difference.
 * @throws `copy_refused`: the target is not empty, the source is an unfinished copy itself, or both are one store (`data.reason`).
 *   `copy_differs` if the stores are not the same in the end (`data.key`); what reading and writing throw. In all but the first case the
 *   same call goes on with what is there.
 * @example
 * const { created } = await copySessions(store, await openSessionStore("copy.d"));
 */
export async function copySessions(
  from: AnyStore,
  to: AnyStore,
  options: CopyOptions = {},
): Promise<CopyReport> {
  const since = await from.revision();
  const { resumed, whole } = await markTarget(from, to, options);
  const work = new CopyWork(from, to, options, whole);
  try {
    await work.run(since, resumed);
  } finally {
    await work.close();
  }
  await to.delete(COPY_MARK);
  return work.report(resumed);
}

interface Mark {
  readonly resumed: boolean;
  /** All that is in the target is of this copy: what the source has no more goes. */
  readonly whole: boolean;
}

async function markTarget(
  from: AnyStore,
  to: AnyStore,
  { intoExisting = false, name }: CopyOptions,
): Promise<Mark> {
  if ((await from.get(COPY_MARK)) !== undefined)
    throw refused(
      "incomplete_source",
      "the source is itself a copy that is not complete. Finish that one first.",
    );
  const found = (await to.get(COPY_MARK)) as { readonly whole?: unknown } | undefined;
  if (found !== undefined) return { resumed: true, whole: found.whole === true };
  const isEmpty = await lacksSessions(to);
  if (!isEmpty && !intoExisting)
    throw refused(
      "not_empty",
      "the target has sessions already, which are not of a copy that was interrupted. Copy into an empty store, or say that they may " +
        "be there (intoExisting; --into-existing): sessions of both then become like the source's, and others stay.",
    );
  const id = randomUUID();
  await to.put(COPY_MARK, { copy: id, whole: isEmpty, ...(name !== undefined && { from: name }) });
  const seen = (await from.get(COPY_MARK)) as { readonly copy?: unknown } | undefined;
  if (seen?.copy === id) {
    await to.delete(COPY_MARK);
    throw refused("same_store", "source and target are the same store.");
  }
  return { resumed: false, whole: isEmpty };
}

async function lacksSessions(store: AnyStore): Promise<boolean> {
  for await (const _key of selectedKeys(store, {}, () => {})) return false;
  return true;
}

function refused(reason: string, message: string): SessionStoreError {
  return new SessionStoreError("copy_refused", `the sessions were not copied: ${message}`, {
    data: { reason },
  });
}

class CopyWork {
  readonly #counts = { created: 0, replaced: 0, unchanged: 0, removed: 0, items: 0, followed: 0 };
  readonly #damaged = new Map<string, DamagedExport>();
  readonly #refused = new Map<string, string>();
  readonly #recent: RecentCopies;
  #changes: ChangeCollector | undefined;
  #revision = 0;
  #total = 0;
  #compared: CompareReport | undefined;

  constructor(
    private readonly from: AnyStore,
    private readonly to: AnyStore,
    private readonly options: CopyOptions,
    private readonly whole: boolean,
  ) {
    this.#recent = new RecentCopies(from, to);
  }

  async run(since: number, resumed: boolean): Promise<void> {
    await this.#copyAll(since, resumed);
    await this.#catchUp("catching up");
    if (this.options.verify !== false) await this.#verify();
    const { follow } = this.options;
    if (follow === undefined) return;
    await this.#follow(follow);
    if (follow.untilRevision !== undefined && this.options.verify !== false) await this.#verify();
  }

  async close(): Promise<void> {
    await this.#changes?.close();
  }

  report(resumed: boolean): CopyReport {
    return {
      resumed,
      ...this.#counts,
      revision: this.#revision,
      damaged: [...this.#damaged.values()],
      refused: Array.from(this.#refused, ([key, message]) => ({ key, message })),
      compared: this.#compared,
    };
  }

  /** Collecting begins first: what changes while everything is copied is copied again. */
  async #copyAll(since: number, mayHaveMore: boolean): Promise<void> {
    await this.close();
    this.#changes = new ChangeCollector(this.from, since);
    this.#revision = since;
    this.#total = await this.from.count();
    const onDamaged = (damaged: { readonly path: string; readonly reason: string }): void => {
      const { path, reason } = damaged;
      this.#damaged.set(path, { key: undefined, code: "entry_corrupt", message: `${path}: ${reason}` });
    };
    const report = await this.#bringOver(selectedKeys(this.from, {}, onDamaged), (done) =>
      this.#tell("copying", done),
    );
    this.#counts.created += report.created;
    this.#counts.replaced += report.replaced;
    this.#counts.unchanged += report.unchanged;
    if (this.whole && mayHaveMore) await this.#removeOthers();
  }

  async #bringOver(
    keys: AsyncIterable<string> | Iterable<string>,
    onProgress?: (done: number) => void,
    onGiven?: (snapshot: SessionSnapshot) => void,
  ): Promise<ImportReport> {
    const { signal } = this.options;
    const missing: string[] = [];
    const events = eventsOf(this.from, keys, {
      signal,
      onMissing: (key) => missing.push(key),
      onDamaged: (damaged) => this.#damaged.set(damaged.key ?? "", damaged),
      onGiven: (snapshot) => {
        this.#damaged.delete(snapshot.key);
        onGiven?.(snapshot);
      },
    });
    const report = await importEvents(this.to, events, {
      onConflict: "replace",
      salvage: true,
      signal,
      onProgress,
    });
    for (const { key, message } of report.faults)
      if (key !== undefined) this.#refused.set(key, message.replace(/^line \d+: /, ""));
    for (const key of missing) await this.#remove(key);
    this.#counts.items += report.items;
    return report;
  }

  /** The source has it no more. */
  async #remove(key: string): Promise<void> {
    if (key === COPY_MARK) return;
    this.#damaged.delete(key);
    this.#refused.delete(key);
    if (await this.to.delete(key)) this.#counts.removed += 1;
  }

  async #removeOthers(): Promise<void> {
    for await (const key of selectedKeys(this.to, {}, () => {})) {
      throwIfAborted(this.options.signal);
      if (key === COPY_MARK || this.#damaged.has(key)) continue;
      const isThere =
        (await this.from.read(key)) !== undefined || (await this.from.transcripts(key)).length > 0;
      if (!isThere) await this.#remove(key);
    }
  }

  /** Until everything is copied that the source had when this began. */
  async #catchUp(phase: CopyProgress["phase"]): Promise<void> {
    const goal = await this.from.revision();
    let quietSince = performance.now();
    while (!(this.#revision >= goal && this.#pending.pending === 0)) {
      throwIfAborted(this.options.signal);
      if (await this.#step(phase)) quietSince = performance.now();
      else {
        // The revisions up to the goal may have no changes of sessions.
        if (performance.now() - quietSince > QUIET_MS && this.#pending.pending === 0) {
          this.#revision = Math.max(this.#revision, goal);
          return;
        }
        await this.#pending.news(LOOK_MS);
      }
    }
  }

  get #pending(): ChangeCollector {
    if (this.#changes === undefined) throw new Error("nothing was copied yet");
    return this.#changes;
  }

  /** Copies what has changed. @returns Whether anything had. */
  async #step(phase: CopyProgress["phase"]): Promise<boolean> {
    if (this.#pending.lost) {
      await this.#copyAll(await this.from.revision(), true);
      return true;
    }
    const { keys, upTo } = this.#pending.take();
    if (keys.length > 0) await this.#copyAgain(keys);
    this.#revision = Math.max(this.#revision, upTo);
    if (keys.length > 0) await this.#tellBehind(phase);
    return keys.length > 0;
  }

  async #copyAgain(keys: readonly string[]): Promise<void> {
    const { signal } = this.options;
    const whole: string[] = [];
    for (const key of keys) {
      throwIfAborted(signal);
      if (!(await this.#appendOnly(key))) whole.push(key);
    }
    const given: SessionSnapshot[] = [];
    await this.#bringOver(whole, undefined, (snapshot) => given.push(snapshot));
    for (const snapshot of given) await this.#recent.remember(snapshot);
    this.#counts.followed += keys.length;
  }

  async #appendOnly(key: string): Promise<boolean> {
    try {
      const snapshot = await takeSnapshot(this.from, key, this.options.signal);
      return snapshot !== undefined && (await this.#recent.append(snapshot));
    } catch (error) {
      throwIfAborted(this.options.signal);
      if (!(error instanceof SessionStoreError)) throw error;
      this.#recent.forget(key);
      return false; // the long way meets it again, and knows what to do about it
    }
  }

  async #follow({ untilRevision, stop }: NonNullable<CopyOptions["follow"]>): Promise<void> {
    const wake = (): void => this.#pending.wake();
    stop?.addEventListener("abort", wake);
    try {
      while (stop?.aborted !== true) {
        throwIfAborted(this.options.signal);
        if (untilRevision !== undefined && this.#revision >= untilRevision) return;
        if (await this.#step("following")) continue;
        await this.#tellBehind("following");
        await this.#pending.news(LOOK_MS);
        // A revision without a change of a session is never told.
        const now = await this.from.revision();
        if (untilRevision !== undefined && now >= untilRevision && this.#revision < untilRevision)
          await this.#catchUp("following");
      }
      // What came until then is copied: nobody who stops it wants less than is there.
      await this.#step("following");
    } finally {
      stop?.removeEventListener("abort", wake);
    }
  }

  /** What differs is copied once more, because the source may be in use; what then still differs is told. */
  async #verify(): Promise<void> {
    const { signal } = this.options;
    const leavesOut = (key: string): boolean =>
      key === COPY_MARK || this.#damaged.has(key) || this.#refused.has(key);
    const report = await compareSome(
      this.from,
      this.to,
      { ignoreOthers: !this.whole, signal, onProgress: (done) => this.#tell("comparing", done) },
      leavesOut,
    );
    this.#compared = report;
    let differences: readonly Difference[] = report.differences;
    for (let attempt = 1; differences.length > 0 && attempt <= ATTEMPTS_MAX; attempt++) {
      await this.#bringOver(differences.map(({ key }) => key));
      const left: Difference[] = [];
      for (const { key } of differences) {
        const still = leavesOut(key) ? undefined : await differenceOf(this.from, this.to, key);
        if (still !== undefined) left.push(still);
      }
      differences = left;
    }
    const [first] = differences;
    if (first !== undefined || report.differenceCount > report.differences.length)
      throw differs(report, first);
    this.#compared = { ...report, equal: true, differences: [], differenceCount: 0 };
  }

  #tell(phase: CopyProgress["phase"], done: number, behind = 0): void {
    this.options.onProgress?.({ phase, done, total: this.#total, behind });
  }

  async #tellBehind(phase: CopyProgress["phase"]): Promise<void> {
    if (this.options.onProgress === undefined) return;
    const now = await this.from.revision();
    this.#tell(phase, this.#counts.followed, Math.max(0, now - this.#revision));
  }
}

function differs({ differences, differenceCount }: CompareReport, first = differences[0]): SessionStoreError {
  const what =
    first?.transcript === undefined ? first?.what : `transcript ${JSON.stringify(first.transcript)}`;
  return new SessionStoreError(
    "copy_differs",
    `the copy is not the same as the source: ${differenceCount} sessions differ, one is ${JSON.stringify(first?.key)} (${what}). ` +
      "Let nobody else write to the copy, and no more to the source, and start the copy again: it goes on.",
    { data: { key: first?.key, what: first?.what, differences: differenceCount } },
  );
}
