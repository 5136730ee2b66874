/**
 * What a gateway's configuration says about old sessions (`session.maintenance`), read strictly.
 *
 * A value that cannot be read is a `TypeError` that names the option. To fall back to a default in silence would mean that
 * a limit never takes effect, or a wrong one does. No value means "remove everything": 0 is refused, `false` switches a limit
 * off.
 */
import { kindOf, requireKnownNames, requireObject } from "../../store/arguments.js";
import { parseByteSize, parseDurationMs } from "./quantities.js";

/** `session.maintenance` as it stands in a configuration file. */
export interface SessionMaintenanceConfig {
  /** "enforce" removes and archives; "warn" only tells. Default "enforce". */
  readonly mode?: "enforce" | "warn" | undefined;
  /** Sessions not used for so long are removed: "30d", "36h", a number of days; false: never. Default "30d". */
  readonly pruneAfter?: string | number | false | undefined;
  /** Older name of `pruneAfter`, in days. */
  readonly pruneDays?: number | undefined;
  /** At most so many sessions; the least recently used ones go first. False: any number. Default 500. */
  readonly maxEntries?: number | false | undefined;
  /** A legacy `sessions.json` above this size is copied to a backup: "10mb", a number of bytes; false: never. Default "10mb". */
  readonly rotateBytes?: string | number | false | undefined;
  /** How long archived transcripts are kept: "30d", a number of days; false: for ever. Default: as `pruneAfter`. */
  readonly resetArchiveRetention?: string | number | false | undefined;
  /** Above this size of all files in the sessions folder, archives are removed, the oldest first. Default false: no limit. */
  readonly maxDiskBytes?: string | number | false | undefined;
  /** Down to this size, at most `maxDiskBytes`. Default: 80 % of it. */
  readonly highWaterBytes?: string | number | undefined;
  /** Sessions that are never removed, by their keys. Default: none. */
  readonly preserveKeys?: readonly string[] | undefined;
}

/** The same in numbers, as functions take it. `Infinity` and null: no limit. */
export interface SessionMaintenanceLimits {
  readonly mode: "enforce" | "warn";
  readonly pruneAfterMs: number;
  readonly maxEntries: number;
  /** OpenClaw has none since May 2026: no backups of a large `sessions.json` are made then. */
  readonly rotateBytes?: number | undefined;
  readonly resetArchiveRetentionMs: number | null;
  readonly maxDiskBytes: number | null;
  readonly highWaterBytes: number | null;
  readonly preserveKeys?: readonly string[] | undefined;
}

/** What this module gives: with every field that any release has. */
export type ResolvedSessionMaintenanceConfig = SessionMaintenanceLimits & {
  readonly rotateBytes: number;
};

const NAMES: ReadonlySet<string> = new Set([
  "mode",
  "pruneAfter",
  "pruneDays",
  "maxEntries",
  "rotateBytes",
  "resetArchiveRetention",
  "maxDiskBytes",
  "highWaterBytes",
  "preserveKeys",
] satisfies (keyof SessionMaintenanceConfig)[]);

/** Names of a configuration file that limits do not have, and what is in their place. */
const OTHER_NAMES = [
  ["pruneAfter", "pruneAfterMs"],
  ["pruneDays", "pruneAfterMs"],
  ["resetArchiveRetention", "resetArchiveRetentionMs"],
] as const;

export const PRUNE_AFTER_MS = 30 * 24 * 3600 * 1000;
export const MAX_ENTRIES = 500;
export const ROTATE_BYTES = 10 * 1024 * 1024;
/** Below the limit by so much, so that the next file does not begin the removing anew. */
const HIGH_WATER_RATIO = 0.8;

let processWide: ResolvedSessionMaintenanceConfig | undefined;

/**
 * Switches maintenance on for every store of this process, for calls that bring no configuration of their own. A library
 * does not remove anybody's sessions unasked, so until this was called nothing is removed.
 * @param config `session.maintenance`; undefined switches it off again.
 * @throws `TypeError` that names the option.
 * @example
 * configureSessionMaintenance({}); // 30 days, 500 sessions, enforced
 */
export function configureSessionMaintenance(config: SessionMaintenanceConfig | undefined): void {
  processWide = config === undefined ? undefined : resolveMaintenanceConfig(config);
}

/** What {@link configureSessionMaintenance} was told; undefined when it was not called. */
export function configuredMaintenance(): ResolvedSessionMaintenanceConfig | undefined {
  return processWide;
}

/**
 * Reads `session.maintenance`.
 * @param config Default: what {@link configureSessionMaintenance} was told, or else the defaults.
 * @throws `TypeError` for an unknown option, or one that cannot be read; it names the option.
 * @example
 * resolveMaintenanceConfig({ pruneAfter: "14d", rotateBytes: "10mb" }).pruneAfterMs; // 1209600000
 */
export function resolveMaintenanceConfig(
  config?: SessionMaintenanceConfig,
): ResolvedSessionMaintenanceConfig {
  return config === undefined && processWide !== undefined
    ? processWide
    : resolveMaintenanceConfigFromInput(config);
}

/**
 * The same without looking at what {@link configureSessionMaintenance} was told.
 * @param config Default: the defaults.
 * @throws `TypeError` for an unknown option, or one that cannot be read; it names the option.
 */
export function resolveMaintenanceConfigFromInput(
  config: SessionMaintenanceConfig = {},
): ResolvedSessionMaintenanceConfig {
  requireObject(config, "session.maintenance");
  requireKnownNames(config, "session.maintenance", NAMES);
  const { mode = "enforce" } = config;
  if (mode !== "enforce" && mode !== "warn") throw wrong("mode", `"enforce" or "warn"`, mode);
  if (config.pruneDays !== undefined && typeof config.pruneDays !== "number")
    throw wrong("pruneDays", "a number of days", config.pruneDays);
  const pruneAfterMs =
    duration("pruneAfter", config.pruneAfter) ?? duration("pruneDays", config.pruneDays) ?? PRUNE_AFTER_MS;
  const retentionMs = duration("resetArchiveRetention", config.resetArchiveRetention) ?? pruneAfterMs;
  const maxDiskBytes = finiteOrNull(size("maxDiskBytes", config.maxDiskBytes) ?? Infinity);
  return {
    mode,
    pruneAfterMs,
    maxEntries: entries(config.maxEntries),
    rotateBytes: size("rotateBytes", config.rotateBytes) ?? ROTATE_BYTES,
    resetArchiveRetentionMs: finiteOrNull(retentionMs),
    maxDiskBytes,
    highWaterBytes: highWater(config, maxDiskBytes),
    preserveKeys: keys(config.preserveKeys),
  };
}

/** @throws `TypeError` for numbers that no limit can have; a program that composes its own configuration is checked too. */
export function assertMaintenanceConfig(config: SessionMaintenanceLimits): void {
  requireObject(config, "maintenanceConfig");
  if (config.mode !== "enforce" && config.mode !== "warn")
    throw wrong("mode", `"enforce" or "warn"`, config.mode);
  for (const name of ["pruneAfterMs", "maxEntries", "rotateBytes"] as const) {
    const value: unknown = config[name];
    if (value === undefined && name === "rotateBytes") continue;
    if (typeof value !== "number" || !(value > 0)) throw wrong(name, "a number above 0", value);
    if (name === "maxEntries" && value !== Infinity && !Number.isSafeInteger(value))
      throw wrong(name, "an integer of 1 or more, or Infinity", value);
  }
  for (const name of ["resetArchiveRetentionMs", "maxDiskBytes", "highWaterBytes"] as const) {
    const value: unknown = config[name];
    if (value === null || value === undefined) continue;
    if (typeof value !== "number" || !(value > 0)) throw wrong(name, "a number above 0, or null", value);
  }
  keys(config.preserveKeys);
  // A limit under its other name would be none, and the default would remove what somebody wanted to keep.
  for (const [name, here] of OTHER_NAMES) {
    if (Object.hasOwn(config, name))
      throw new TypeError(`session.maintenance.${name} is not known here: give ${here}, in milliseconds`);
  }
}

function duration(name: string, value: string | number | false | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (value === false) return Infinity;
  const ms = parseDurationMs(value, "d");
  if (ms === undefined) throw wrong(name, `a duration above 0 such as "30d" or "36h", or false`, value);
  return ms;
}

function size(name: string, value: string | number | false | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (value === false) return Infinity;
  const bytes = parseByteSize(value);
  if (bytes === undefined) throw wrong(name, `a size above 0 such as "10mb", or false`, value);
  return bytes;
}

function entries(value: number | false | undefined): number {
  if (value === undefined) return MAX_ENTRIES;
  if (value === false) return Infinity;
  if (!Number.isSafeInteger(value) || value < 1)
    throw wrong("maxEntries", "an integer of 1 or more, or false", value);
  return value;
}

function highWater(config: SessionMaintenanceConfig, maxDiskBytes: number | null): number | null {
  const given = size("highWaterBytes", config.highWaterBytes);
  if (maxDiskBytes === null) return null;
  return Math.min(given ?? Math.max(1, Math.floor(maxDiskBytes * HIGH_WATER_RATIO)), maxDiskBytes);
}

function keys(value: readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  const given: unknown = value;
  if (!Array.isArray(given) || !given.every((key: unknown) => typeof key === "string"))
    throw wrong("preserveKeys", "a list of session keys", given);
  return [...given];
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function wrong(name: string, wanted: string, value: unknown): TypeError {
  const shown = typeof value === "string" ? JSON.stringify(value) : kindOf(value);
  return new TypeError(`session.maintenance.${name} must be ${wanted}, not ${shown}`);
}
