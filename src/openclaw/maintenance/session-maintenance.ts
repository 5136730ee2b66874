/**
 * A store is looked after: what is too old or too much is removed or, in "warn" mode, told; transcripts of what was removed are
 * archived; old archives and the size of the folder are seen to.
 *
 * Called after every write, on every path, and nearly always returns at once; see schedule.ts. It never fails a write:
 * what goes wrong is told, and tried again by the next run. The active session, sessions that are running and those that the
 * owner named are never removed, and none that somebody touched since it was judged (directory-sessions.ts).
 */
import { SessionStoreError } from "../../errors.js";
import type { LegacyHost } from "../../legacy/base/host.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";
import { resolveStoreTarget } from "../base/store-target.js";
import { sweepArchives, type AskReferences, type DiskBudgetReport } from "./archives.js";
import { assertMaintenanceConfig, configuredMaintenance, type SessionMaintenanceLimits } from "./config.js";
import type { MaintainedStore } from "./maintained-store.js";
import { warningFor, type RemovalLimits, type SessionMaintenanceWarning } from "./policy.js";
import { Protection } from "./protection.js";
import { referencesOf, removeByLimits, type RemovedSession } from "./removal.js";
import { rotateOn } from "./rotate-session-file.js";
import { MaintenanceSchedule } from "./schedule.js";
import { SteadyClock } from "./steady-clock.js";
import { archiveTranscripts, type ArchivedTranscript, type TranscriptReferences } from "./transcripts.js";

export interface SessionMaintenanceReport {
  readonly mode: "enforce" | "warn";
  readonly beforeCount: number;
  readonly afterCount: number;
  /** Removed for their age; 0 in "warn" mode. */
  readonly pruned: number;
  /** Removed because there were too many; 0 in "warn" mode. */
  readonly capped: number;
  /** "warn" mode: how many "enforce" would remove for their age, those that it would keep anyway included. */
  readonly stale: number;
  readonly removed: readonly RemovedSession[];
  readonly archived: readonly ArchivedTranscript[];
  /** Archives that were too old and are gone. */
  readonly expiredArchives: number;
  /**
   * Archives that were too old, or in the way, but whose transcript (`source`) a session names: they are never removed. Where
   * there is no `source`, a tool has archived it under the session's feet, and renaming the archive brings it back.
   */
  readonly keptArchives: readonly ArchivedTranscript[];
  /** Null where no size is set. */
  readonly diskBudget: DiskBudgetReport | null;
  /** The clock has jumped ahead: nothing was judged by its age this time. */
  readonly clockUnsteady: boolean;
}

export interface MaintainOptions {
  /** Path of the legacy file, whether it exists or not; the same text for the same store. Its folder has the transcripts. */
  readonly storePath: string;
  /** Default: what `configureSessionMaintenance` was told; nothing happens if that was not called. */
  readonly config?: SessionMaintenanceLimits | undefined;
  /** The session that was just written: never removed. */
  readonly activeSessionKey?: string | undefined;
  /** More sessions to keep. */
  readonly preserveKeys?: Iterable<string> | undefined;
  /** "warn" mode: the active session is one that "enforce" could remove, were it not active. */
  readonly onWarn?: ((warning: SessionMaintenanceWarning) => void | Promise<void>) | undefined;
  /** Hears of each run that came to its end. */
  readonly onMaintenanceApplied?: ((report: SessionMaintenanceReport) => void | Promise<void>) | undefined;
  /** Hears of what went wrong. Default: `process.emitWarning`. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Run now, whenever the last run was. Default false. */
  readonly force?: boolean | undefined;
}

/** One run over one store. */
interface Run {
  readonly store: MaintainedStore;
  readonly options: MaintainOptions;
  readonly config: SessionMaintenanceLimits;
  readonly limits: RemovalLimits;
  readonly clockUnsteady: boolean;
  readonly references: AskReferences;
}

const NOT_DUE: Promise<undefined> = Promise.resolve(undefined);

/** Maintenance on one machine: its clocks and its schedule. */
export class SessionMaintenance {
  readonly #schedule: MaintenanceSchedule;
  readonly #clock: SteadyClock;

  constructor(private readonly host: LegacyHost) {
    this.#schedule = new MaintenanceSchedule(host.runtime);
    this.#clock = new SteadyClock(host.runtime);
  }

  /**
   * Looks after a store if it is time to.
   * @returns The report; undefined if it was not time, if maintenance is not switched on, or if it failed (`onError`).
   * @throws `TypeError`, at once, for a configuration that no store can have.
   */
  maintain(store: MaintainedStore, options: MaintainOptions): Promise<SessionMaintenanceReport | undefined> {
    const config = options.config ?? configuredMaintenance();
    if (config === undefined) return NOT_DUE;
    assertMaintenanceConfig(config);
    const { storePath, force = false } = options;
    this.#schedule.noteWrite(storePath);
    if (!force && !this.#schedule.isDue(storePath)) return NOT_DUE;
    return this.#schedule.run(storePath, () => this.#run(store, options, config));
  }

  async #run(
    store: MaintainedStore,
    options: MaintainOptions,
    config: SessionMaintenanceLimits,
  ): Promise<SessionMaintenanceReport | undefined> {
    try {
      const run = this.#prepare(store, options, config);
      const before = nothingDone(run, await store.count());
      const done = config.mode === "warn" ? await this.#warn(run) : await this.#enforce(run);
      const report = { ...before, ...done };
      await options.onMaintenanceApplied?.(report);
      return report;
    } catch (error) {
      tell(options, error);
      return undefined;
    }
  }

  async #enforce({
    store,
    options,
    config,
    limits,
    clockUnsteady,
    references,
  }: Run): Promise<Partial<SessionMaintenanceReport>> {
    const { host } = this;
    const removed = await store.removing((sessions) => removeByLimits(sessions, limits));
    // The sessions are gone. Whatever goes wrong from here on concerns files beside them, each kind by itself.
    const tried = <R>(work: () => Promise<R>): Promise<R | undefined> =>
      work().catch((error: unknown) => {
        tell(options, error);
        return undefined;
      });
    const { folder } = resolveStoreTarget(host.fs, options.storePath);
    const archived = await tried(() => archiveTranscripts(host, folder, removed, references));
    await tried(() => rotateOn(host, options.storePath, config.rotateBytes ?? Infinity));
    const sweep = clockUnsteady ? { ...config, resetArchiveRetentionMs: null } : config;
    const swept = await tried(() => sweepArchives(host, folder, sweep, references, { change: true }));
    const pruned = removed.filter(({ reason }) => reason === "pruned").length;
    return {
      afterCount: await store.count(),
      pruned,
      capped: removed.length - pruned,
      removed,
      archived: archived ?? [],
      expiredArchives: swept?.expired ?? 0,
      keptArchives: swept?.kept ?? [],
      diskBudget: swept?.diskBudget ?? null,
    };
  }

  async #warn({
    store,
    options,
    config,
    limits,
    references,
  }: Run): Promise<Partial<SessionMaintenanceReport>> {
    const { cutoff } = limits;
    const stale = Number.isFinite(cutoff) ? await store.countStale(cutoff) : 0;
    const warning = await warningOf(store, options.activeSessionKey, config, limits);
    if (warning !== null) await options.onWarn?.(warning);
    const { folder } = resolveStoreTarget(this.host.fs, options.storePath);
    const { diskBudget } = await sweepArchives(this.host, folder, config, references, { change: false });
    return { stale, diskBudget };
  }

  #prepare(store: MaintainedStore, options: MaintainOptions, config: SessionMaintenanceLimits): Run {
    const { activeSessionKey, preserveKeys = [] } = options;
    const { pruneAfterMs, maxEntries, preserveKeys: configured = [] } = config;
    const nowMs = this.host.runtime.now();
    const clockUnsteady = !this.#clock.isSteady();
    const cutoff = clockUnsteady || pruneAfterMs <= 0 ? Number.NEGATIVE_INFINITY : nowMs - pruneAfterMs;
    const protection = new Protection([activeSessionKey, ...configured, ...preserveKeys], nowMs);
    const limits = { cutoff, maxEntries: maxEntries > 0 ? maxEntries : Infinity, nowMs, protection };
    return { store, options, config, limits, clockUnsteady, references: askReferences(store) };
  }
}

/** The report of a run that has found nothing to do. */
function nothingDone({ config, clockUnsteady }: Run, count: number): SessionMaintenanceReport {
  return {
    mode: config.mode,
    beforeCount: count,
    afterCount: count,
    pruned: 0,
    capped: 0,
    stale: 0,
    removed: [],
    archived: [],
    expiredArchives: 0,
    keptArchives: [],
    diskBudget: null,
    clockUnsteady,
  };
}

/** Asks the sessions anew whenever there was a commit since. */
function askReferences(store: MaintainedStore): AskReferences {
  let known: { readonly version: unknown; readonly references: TranscriptReferences } | undefined;
  return async () => {
    const version = await store.version();
    if (known !== undefined && known.version === version) return known.references;
    const references = await referencesOf(store);
    known = { version, references };
    return references;
  };
}

/** What "enforce" would do to the session that was just written. */
async function warningOf(
  store: MaintainedStore,
  activeSessionKey: string | undefined,
  { pruneAfterMs, maxEntries }: SessionMaintenanceLimits,
  { nowMs }: RemovalLimits,
): Promise<SessionMaintenanceWarning | null> {
  const key = normalizeStoreSessionKey(activeSessionKey ?? "");
  const active = key === "" ? undefined : await store.rank(key);
  if (active === undefined) return null;
  const limits = { pruneAfterMs, maxEntries, nowMs };
  return warningFor(key, active.entry, await store.count(), active.before, limits);
}

function tell({ onError = emitWarning }: MaintainOptions, error: unknown): void {
  // The store was closed under our hands: its process ends, or opens another one. Nothing is wrong.
  if (error instanceof SessionStoreError && error.code === "closed") return;
  onError(error);
}

function emitWarning(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  process.emitWarning(`session maintenance did not finish: ${message}`, { type: "SessionStoreWarning" });
}
