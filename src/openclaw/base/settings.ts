/**
 * How this process uses its session stores. Gateways call functions with a path and little else, so what they could be asked
 * once is asked once, for all stores of the process.
 */
import type { StoreWarning } from "../../errors.js";
import type { Trust } from "../../fs/trusted-path.js";
import type { LegacyWarning } from "../../legacy/base/types.js";

export interface SessionStoreSettings {
  /**
   * The OpenClaw whose rules hold where releases contradict each other, see docs/adopting.md. "2026.5" is for May 2026, the
   * last with a `sessions.json`; "2026.4" is for those up to April 2026. Default "2026.5".
   */
  readonly release?: "2026.4" | "2026.5" | undefined;
  /**
   * When a store that is still a `sessions.json` becomes a directory. "explicit": when somebody asks for it, with
   * `migrateSessionStoreToDirectory` or the command line. "on-open": at the first asynchronous call for it. "on-write": at
   * the first update that changes something. Default "explicit".
   */
  readonly migrate?: "explicit" | "on-open" | "on-write" | undefined;
  /**
   * Keeps `sessions.json` in step with a directory store, for tools and gateways that read it: within 5 s, in the background,
   * by any of the processes that say so. Default false.
   */
  readonly mirror?: boolean | undefined;
  /** What an update of a directory store survives once it has resolved, see `openSessionStore`. Default "disk". */
  readonly durability?: "disk" | "os" | undefined;
  /**
   * Who may change the folders of the stores: "owner", or "group" for shared volumes (`fsGroup`), see SECURITY.md. Default
   * "owner".
   */
  readonly trust?: Trust | undefined;
  /** How long an update of a legacy file waits for the lock of another process, in milliseconds. Default 10,000. */
  readonly lockWaitMsMax?: number | undefined;
  /** Hears of what the owner should know, but what stopped nothing. Default: `process.emitWarning`. */
  readonly onWarning?: ((warning: StoreWarning | LegacyWarning | MaintenanceWarning) => void) | undefined;
}

/** What the owner should know of a store, though it stopped nothing. */
export interface MaintenanceWarning {
  /**
   * "maintenance_failed": an update counts, but pruning or archiving after it failed; a later update tries again.
   * "maintenance_would_remove": in "warn" mode, the session that was just used is one that "enforce" could remove.
   * "maintenance_over_budget": the sessions folder is larger than `maxDiskBytes`, and the maintenance may not or cannot help.
   * "migration_postponed": the store should have become a directory and could not; the `sessions.json` goes on being used.
   */
  readonly code:
    "maintenance_failed" | "maintenance_would_remove" | "maintenance_over_budget" | "migration_postponed";
  readonly message: string;
  readonly data: { readonly path: string } & Readonly<Record<string, string | number | boolean>>;
}

const DEFAULTS = {
  release: "2026.5",
  migrate: "explicit",
  mirror: false,
  durability: "disk",
  trust: "owner",
  lockWaitMsMax: 10_000,
  onWarning: (warning) =>
    process.emitWarning(warning.message, { type: "SessionStoreWarning", code: warning.code }),
} as const satisfies SessionStoreSettings;

export type ResolvedSettings = { readonly [Name in keyof typeof DEFAULTS]: Setting<Name> };
type Setting<Name extends keyof SessionStoreSettings> = Exclude<SessionStoreSettings[Name], undefined>;

let current: ResolvedSettings = DEFAULTS;

/**
 * Sets what is given for all stores that this process opens from now on, and leaves the rest as it was; a setting that is
 * undefined gets its default back. Call it once, before the first store is used.
 * @throws `TypeError` for an unknown setting or a wrong value.
 * @example
 * configureSessionStores({ migrate: "on-write", mirror: true });
 */
export function configureSessionStores(settings: SessionStoreSettings): void {
  const next: Record<string, unknown> = { ...current };
  for (const [name, value] of Object.entries(settings)) {
    const check = Object.hasOwn(CHECKS, name) ? CHECKS[name as keyof typeof CHECKS] : undefined;
    if (check === undefined)
      throw new TypeError(`configureSessionStores has no setting ${JSON.stringify(name)}`);
    if (value !== undefined && !check(value))
      throw new TypeError(`the setting ${name} is wrong: ${String(value)}`);
    next[name] = value ?? DEFAULTS[name as keyof typeof DEFAULTS];
  }
  current = next as ResolvedSettings;
}

/** What counts for this process. */
export function sessionStoreSettings(): ResolvedSettings {
  return current;
}

const CHECKS: { readonly [Name in keyof typeof DEFAULTS]: (value: unknown) => boolean } = {
  release: (value) => value === "2026.4" || value === "2026.5",
  migrate: (value) => value === "explicit" || value === "on-open" || value === "on-write",
  mirror: (value) => typeof value === "boolean",
  durability: (value) => value === "disk" || value === "os",
  trust: (value) => value === "owner" || value === "group",
  lockWaitMsMax: (value) => typeof value === "number" && value >= 0,
  onWarning: (value) => typeof value === "function",
};
