/**
 * A store is looked after: what is too old or too much is removed or, in "warn" mode, told; transcripts of what was removed are
 * archived; old archives and the size of the folder are seen to.
 *
 * Called after every write, on every path, and nearly always returns at once; see schedule.ts. It never fails a write:
 * what goes wrong is told, and tried again by the next run. The active session, sessions that are running and those that the
 * owner named are never removed, and none that somebody touched since it was judged (removal.ts).
 */
import { SessionStoreError } from "../../errors.js";
import { systemHost, type LegacyHost } from "../../legacy/base/host.js";
import type { SessionStore } from "../../store/types.js";
import type { SessionEntry, SessionStoreRecord } from "../entry/session-entry.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";
import { resolveStoreTarget } from "../base/store-target.js";
import { sweepArchives, type AskReferences, type DiskBudgetReport } from "./archives.js";
import { assertMaintenanceConfig, configuredMaintenance, type SessionMaintenanceLimits } from "./config.js";
import { Protection } from "./protection.js";
import {
  referencesInRecord,
  referencesInStore,
  removeFromRecord,
  removeFromStore,
  type RemovalLimits,
  type RemovedSession,
} from "./removal.js";
import { rotateOn } from "./rotate-session-file.js";
import { MaintenanceSchedule } from "./schedule.js";
import { SteadyClock } from "./steady-clock.js";
import { archiveTranscripts, type ArchivedTranscript, type TranscriptReferences } from "./transcripts.js";
import {
  getActiveSessionMaintenanceWarning,
  isStale,
  warningFor,
  type SessionMaintenanceWarning,
} from "./whole-store.js";

/** The store that a path stands for at this moment. */
export type MaintainedStore =
  | { readonly kind: "directory"; readonly store: SessionStore<SessionEntry> }
  | {
      readonly kind: "legacy";
      /** Reads the file, lets it be changed in place, writes it if it was; all under the file's lock. */
      update<R>(change: (sessions: SessionStoreRecord) => R): Promise<R>;
      read(): Promise<Readonly<SessionStoreRecord>>;
      /** Another value: what `read` gives may be another. */
      version(): Promise<unknown>;
    };

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

const NOTHING: Promise<undefined> = Promise.resolve(undefined);

/**
 * Looks after a store if it is time to.
 * @returns The report; undefined if it was not time, if maintenance is not switched on, or if it failed (`onError`).
 * @throws `TypeError`, at once, for a configuration that no store can have.
 */
export function maintainSessionStore(
  target: MaintainedStore,
  options: MaintainOptions,
): Promise<SessionMaintenanceReport | undefined> {
  return system.maintain(target, options);
}

/** Maintenance on one machine: its clocks and its schedule. */
export class SessionMaintenance {
  readonly #schedule: MaintenanceSchedule;
  readonly #clock: SteadyClock;

  constructor(private readonly host: LegacyHost) {
    this.#schedule = new MaintenanceSchedule(host.runtime);
    this.#clock = new SteadyClock(host.runtime);
  }

  maintain(target: MaintainedStore, options: MaintainOptions): Promise<SessionMaintenanceReport | undefined> {
    const config = options.config ?? configuredMaintenance();
    if (config === undefined) return NOTHING;
    assertMaintenanceConfig(config);
    const { storePath, force = false } = options;
    this.#schedule.noteWrite(storePath);
    if (!force && !this.#schedule.isDue(storePath)) return NOTHING;
    return this.#schedule.run(storePath, () => this.#run(target, options, config));
  }

  async #run(
    target: MaintainedStore,
    options: MaintainOptions,
    config: SessionMaintenanceLimits,
  ): Promise<SessionMaintenanceReport | undefined> {
    try {
      const report =
        config.mode === "warn"
          ? await this.#warn(target, options, config)
          : await this.#enforce(target, options, config);
      await options.onMaintenanceApplied?.(report);
      return report;
    } catch (error) {
      tell(options, error);
      return undefined;
    }
  }

  async #enforce(
    target: MaintainedStore,
    options: MaintainOptions,
    config: SessionMaintenanceLimits,
  ): Promise<SessionMaintenanceReport> {
    const { host } = this;
    const { limits, clockUnsteady } = this.#limits(options, config);
    const beforeCount = await countOf(target);
    const removed = await removeFrom(target, limits);
    // The sessions are gone. Whatever goes wrong from here on concerns files beside them, each kind by itself.
    const tried = <R>(work: () => Promise<R>): Promise<R | undefined> =>
      work().catch((error: unknown) => {
        tell(options, error);
        return undefined;
      });
    const { folder } = resolveStoreTarget(host.fs, options.storePath);
    const references = referencesOf(target);
    const archived = await tried(() => archiveTranscripts(host, folder, removed, references));
    if (target.kind === "legacy")
      await tried(() => rotateOn(host, options.storePath, config.rotateBytes ?? Infinity));
    const sweep = clockUnsteady ? { ...config, resetArchiveRetentionMs: null } : config;
    const swept = await tried(() => sweepArchives(host, folder, sweep, references, { change: true }));
    const pruned = removed.filter(({ reason }) => reason === "pruned").length;
    return {
      mode: "enforce",
      beforeCount,
      afterCount: await countOf(target),
      pruned,
      capped: removed.length - pruned,
      stale: 0,
      removed,
      archived: archived ?? [],
      expiredArchives: swept?.expired ?? 0,
      keptArchives: swept?.kept ?? [],
      diskBudget: swept?.diskBudget ?? null,
      clockUnsteady,
    };
  }

  async #warn(
    target: MaintainedStore,
    options: MaintainOptions,
    config: SessionMaintenanceLimits,
  ): Promise<SessionMaintenanceReport> {
    const { limits, clockUnsteady } = this.#limits(options, config);
    const beforeCount = await countOf(target);
    const { warning, stale } = await judge(target, options.activeSessionKey, config, limits);
    if (warning !== null) await options.onWarn?.(warning);
    const { folder } = resolveStoreTarget(this.host.fs, options.storePath);
    const references = referencesOf(target);
    const { diskBudget } = await sweepArchives(this.host, folder, config, references, { change: false });
    return {
      mode: "warn",
      beforeCount,
      afterCount: beforeCount,
      pruned: 0,
      capped: 0,
      stale,
      removed: [],
      archived: [],
      expiredArchives: 0,
      keptArchives: [],
      diskBudget,
      clockUnsteady,
    };
  }

  #limits(
    { activeSessionKey, preserveKeys = [] }: MaintainOptions,
    { pruneAfterMs, maxEntries, preserveKeys: configured = [] }: SessionMaintenanceLimits,
  ): { readonly limits: RemovalLimits; readonly clockUnsteady: boolean } {
    const nowMs = this.host.runtime.now();
    const clockUnsteady = !this.#clock.isSteady();
    const cutoff = clockUnsteady || pruneAfterMs <= 0 ? Number.NEGATIVE_INFINITY : nowMs - pruneAfterMs;
    const protection = new Protection([activeSessionKey, ...configured, ...preserveKeys], nowMs);
    const limits = { cutoff, maxEntries: maxEntries > 0 ? maxEntries : Infinity, nowMs, protection };
    return { limits, clockUnsteady };
  }
}

const system = new SessionMaintenance(systemHost);

async function removeFrom(
  target: MaintainedStore,
  limits: RemovalLimits,
): Promise<readonly RemovedSession[]> {
  if (target.kind === "directory") return removeFromStore(target.store, limits);
  // The lock of a file, and reading it anew, are only for when there is something to remove.
  if (removeFromRecord({ ...(await target.read()) }, limits).length === 0) return [];
  return target.update((sessions) => removeFromRecord(sessions, limits));
}

async function countOf(target: MaintainedStore): Promise<number> {
  return target.kind === "directory" ? target.store.count() : Object.keys(await target.read()).length;
}

/** Asks the sessions anew whenever there was a commit since. */
function referencesOf(target: MaintainedStore): AskReferences {
  let known: { readonly version: unknown; readonly references: TranscriptReferences } | undefined;
  return async () => {
    const version = await versionOf(target);
    if (known !== undefined && known.version === version) return known.references;
    const references =
      target.kind === "directory"
        ? await referencesInStore(target.store)
        : referencesInRecord(await target.read());
    known = { version, references };
    return references;
  };
}

function versionOf(target: MaintainedStore): Promise<unknown> {
  return target.kind === "directory" ? target.store.revision() : target.version();
}

async function judge(
  target: MaintainedStore,
  activeSessionKey: string | undefined,
  { pruneAfterMs, maxEntries }: SessionMaintenanceLimits,
  { cutoff, nowMs }: RemovalLimits,
): Promise<{ readonly warning: SessionMaintenanceWarning | null; readonly stale: number }> {
  const active = normalizeStoreSessionKey(activeSessionKey ?? "");
  if (target.kind === "legacy") {
    const store = await target.read();
    const stale = Object.values(store).filter((entry) => isStale(entry, cutoff)).length;
    const given = { store, activeSessionKey: active, pruneAfterMs, maxEntries, nowMs };
    return { warning: getActiveSessionMaintenanceWarning(given), stale };
  }
  const { store } = target;
  const stale = Number.isFinite(cutoff) ? await store.count({ updatedBefore: cutoff }) : 0;
  const entry = active === "" ? undefined : await store.get(active);
  if (entry === undefined) return { warning: null, stale };
  const newer = await store.count({ updatedAfter: entry.updatedAt ?? 0 });
  const limits = { pruneAfterMs, maxEntries, nowMs };
  return { warning: warningFor(active, entry, await store.count(), newer, limits), stale };
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
