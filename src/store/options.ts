/**
 * What a store can be opened with, and the check that it is sane: a `TypeError` that names the option, before
 * anything is touched.
 */
import type { StoreWarning } from "../errors.js";
import type { Trust } from "../fs/trusted-path.js";
import {
  BLOB_THRESHOLD_BYTES,
  DEFAULT_LIMITS,
  LINE_BYTES_MAX,
  SEGMENT_BYTES,
  type Limits,
} from "../format/limits.js";
import {
  kindOf,
  optionalBoolean,
  optionalFunction,
  optionalInteger,
  optionalOneOf,
  requireKnownNames,
  requireObject,
} from "./arguments.js";

/** Options of {@link openSessionStore}. A `memory:` store takes them all and uses the first four. */
export interface OpenOptions<T extends object> {
  /** Every write fails with `read_only`, and nothing on disk is touched, not even created. Default false. */
  readonly readOnly?: boolean | undefined;
  /** Whether a store is made where there is none. Default true; false, like `readOnly`, gives `store_not_found`. */
  readonly create?: boolean | undefined;
  /**
   * Who may change the folders that the store lies in. "owner": this user and root only, anything else is `path_untrusted`.
   * "group": also the groups of these folders, for volumes whose mode is not yours to change (`fsGroup` of Kubernetes); every
   * member of such a group can then replace, read or destroy the store. Default "owner".
   */
  readonly trust?: Trust | undefined;
  /**
   * No other process has the store open, or will before this one is done opening it. Then a log with bytes that cannot be read
   * is mended at once, with all that files and log still have; what cannot be proved is told as `session_guessed`. Never set it
   * where another process may have read those bytes: it knows better, and mends the log by itself. Default false.
   */
  readonly soleProcess?: boolean | undefined;
  /**
   * Applied to every key before a session is looked up or stored. Must be pure and idempotent, and the same in every
   * process. Default: keys are opaque and taken as they are.
   * @example
   * await openSessionStore<Session>("sessions.d", { normalizeKey: (key) => key.toLowerCase() });
   */
  readonly normalizeKey?: ((key: string) => string) | undefined;
  /**
   * When a session was last used, in milliseconds since 1970; orders and bounds listings. Anything but a
   * finite number, a throw included, counts as 0. Default: `entry.updatedAt`.
   */
  readonly updatedAt?: ((entry: T) => number | undefined) | undefined;
  /** Limits that differ from the defaults. All processes of a store should have the same. */
  readonly limits?: Partial<Limits> | undefined;
  /**
   * What a resolved write survives. "disk": a power cut, for fdatasync is awaited. "os": a killed process.
   * Default "disk".
   */
  readonly durability?: "disk" | "os" | undefined;
  /**
   * How long a changed session waits for its meta.json, in milliseconds; a session that goes on changing waits ten times
   * as long. Default 500.
   */
  readonly flushDelayMs?: number | undefined;
  /**
   * Size at which a log segment is sealed and a new one begun, in bytes; under load up to 16 times that, so that
   * checkpoints keep up. Shared values that no session uses any more may take as much. Less when the disk is
   * nearly full. Default 4 MiB, at least 4096.
   */
  readonly segmentBytes?: number | undefined;
  /** Values of at least this size as JSON are stored once and shared, in bytes. Default 4096, at least 256. */
  readonly blobThresholdBytes?: number | undefined;
  /** How much of entries is kept in memory, in bytes of JSON. Default 128 MiB; 0 keeps none. */
  readonly cacheBytes?: number | undefined;
  /**
   * Hears of what the owner should know, but what stopped nothing. Default: `process.emitWarning`.
   * @example
   * await openSessionStore<Session>("sessions.d", { onWarning: ({ code, message }) => console.warn(code, message) });
   */
  readonly onWarning?: ((warning: StoreWarning) => void) | undefined;
}

/** The options with every default filled in. */
export interface ResolvedOptions {
  readonly readOnly: boolean;
  readonly create: boolean;
  readonly trust: Trust;
  readonly soleProcess: boolean;
  readonly normalizeKey: ((key: string) => string) | undefined;
  readonly updatedAt: (entry: object) => number | undefined;
  readonly limits: Limits;
  readonly durability: "disk" | "os";
  readonly flushDelayMs: number;
  readonly segmentBytes: number;
  readonly blobThresholdBytes: number;
  readonly cacheBytes: number;
  readonly onWarning: (warning: StoreWarning) => void;
}

const FLUSH_DELAY_MS = 500;
const CACHE_BYTES = 128 * 1024 * 1024;
/** Below these a store would be made of headers, or of references longer than what they stand for. */
const SEGMENT_BYTES_MIN = 4096;
const BLOB_THRESHOLD_BYTES_MIN = 256;

const NAMES: ReadonlySet<string> = new Set([
  "readOnly",
  "create",
  "trust",
  "soleProcess",
  "normalizeKey",
  "updatedAt",
  "limits",
  "durability",
  "flushDelayMs",
  "segmentBytes",
  "blobThresholdBytes",
  "cacheBytes",
  "onWarning",
] satisfies (keyof OpenOptions<object>)[]);

/** Limits that the format itself has: what goes beyond them, no reader would accept. */
const LIMITS_OF_THE_FORMAT: Partial<Limits> = {
  recordBytesMax: LINE_BYTES_MAX / 2,
  depthMax: DEFAULT_LIMITS.depthMax,
};

const LIMIT_NAMES: ReadonlySet<string> = new Set(Object.keys(DEFAULT_LIMITS));

/** @throws `TypeError` that names the option. */
export function resolveOptions<T extends object>(options: OpenOptions<T> | undefined): ResolvedOptions {
  const given = options === undefined ? {} : options;
  requireObject(given, "options");
  requireKnownNames(given, "a session store", NAMES);
  const integer = (
    name: "flushDelayMs" | "segmentBytes" | "blobThresholdBytes" | "cacheBytes",
    min: number,
  ) => optionalInteger(given[name], `options.${name}`, min);
  return {
    readOnly: optionalBoolean(given.readOnly, "options.readOnly") ?? false,
    create: optionalBoolean(given.create, "options.create") ?? true,
    trust: optionalOneOf(given.trust, "options.trust", ["owner", "group"]) ?? "owner",
    soleProcess: optionalBoolean(given.soleProcess, "options.soleProcess") ?? false,
    normalizeKey: optionalFunction(given.normalizeKey, "options.normalizeKey"),
    updatedAt: safeUpdatedAt(optionalFunction(given.updatedAt, "options.updatedAt")),
    limits: resolveLimits(given.limits),
    durability: optionalOneOf(given.durability, "options.durability", ["disk", "os"]) ?? "disk",
    flushDelayMs: integer("flushDelayMs", 0) ?? FLUSH_DELAY_MS,
    segmentBytes: integer("segmentBytes", SEGMENT_BYTES_MIN) ?? SEGMENT_BYTES,
    blobThresholdBytes: integer("blobThresholdBytes", BLOB_THRESHOLD_BYTES_MIN) ?? BLOB_THRESHOLD_BYTES,
    cacheBytes: integer("cacheBytes", 0) ?? CACHE_BYTES,
    onWarning: safeOnWarning(optionalFunction(given.onWarning, "options.onWarning")),
  };
}

function resolveLimits(limits: Partial<Limits> | undefined): Limits {
  if (limits === undefined) return DEFAULT_LIMITS;
  requireObject(limits, "options.limits");
  requireKnownNames(limits, "options.limits", LIMIT_NAMES);
  const resolved: Record<keyof Limits, number> = { ...DEFAULT_LIMITS };
  for (const name of Object.keys(DEFAULT_LIMITS) as (keyof Limits)[]) {
    resolved[name] = optionalInteger(limits[name], `options.limits.${name}`, 1) ?? resolved[name];
  }
  for (const [name, max] of Object.entries(LIMITS_OF_THE_FORMAT) as [keyof Limits, number][]) {
    if (resolved[name] > max) {
      throw new TypeError(`options.limits.${name} must be at most ${max}, not ${kindOf(resolved[name])}`);
    }
  }
  return resolved;
}

/** The engine calls this while it follows other processes' commits: it must never throw. */
function safeUpdatedAt<T extends object>(
  updatedAt: ((entry: T) => number | undefined) | undefined,
): (entry: object) => number | undefined {
  const read = (updatedAt ?? ownUpdatedAt) as (entry: object) => unknown;
  return (entry) => {
    try {
      const time = read(entry);
      return typeof time === "number" && Number.isFinite(time) ? time : undefined;
    } catch {
      return undefined;
    }
  };
}

function ownUpdatedAt(entry: object): unknown {
  return (entry as { updatedAt?: unknown }).updatedAt;
}

/** Warnings come in the middle of reading the log: a callback that throws must not leave it half read. */
function safeOnWarning(
  onWarning: ((warning: StoreWarning) => void) | undefined,
): (warning: StoreWarning) => void {
  if (onWarning === undefined) return emitWarning;
  return (warning) => {
    try {
      onWarning(warning);
    } catch {
      emitWarning(warning);
    }
  };
}

function emitWarning(warning: StoreWarning): void {
  process.emitWarning(warning.message, { type: "SessionStoreWarning", code: warning.code });
}
