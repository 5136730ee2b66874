/**
 * The context of a legacy function over one store: what it runs on, its names, and its options with every default filled in.
 * Nothing in it changes; what a run finds and does is in its journal and its tallies.
 */
import { join } from "node:path";
import { asStoreError, errnoOf, SessionStoreError } from "../../errors.js";
import { findLegacyPlace } from "../../store/legacy-place.js";
import { resolveOptions, type OpenOptions } from "../../store/options.js";
import { openDirectoryStoreOn } from "../../store/open.js";
import type { DirectorySessionStore } from "../../store/types.js";
import type { EntryRules } from "../reading/check-entry.js";
import type { LegacyHost } from "../base/host.js";
import { LegacyPaths, shellQuoted } from "../base/paths.js";
import { JSON5_BYTES_MAX } from "../reading/read-json5.js";
import type { ChangingOptions, LegacyFailure, LegacyProgress } from "../base/types.js";

/** What a call says of what another process has taken away, or is still filling while it is being taken away. */
const GONE: ReadonlySet<string> = new Set(["ENOENT", "ENOTEMPTY"]);
/** What a store also says whose folder was renamed, removed or filled while it was being opened or used. */
const DAMAGED: ReadonlySet<string> = new Set(["not_a_store", "log_damaged", "format_damaged"]);
/** The caches of a store that is only filled, or only read once, need not be large. */
const CACHE_BYTES = 8 * 1024 * 1024;

export class LegacyWork {
  /** Of the real place; where that cannot be found, as they were given. */
  readonly paths: LegacyPaths;
  readonly rules: EntryRules;
  readonly dryRun: boolean;
  readonly json5BytesMax: number;
  /** What does not look like sessions is taken all the same. */
  readonly force: boolean;
  readonly signal: AbortSignal | undefined;
  readonly #misplaced: Error | undefined;
  readonly #started: number;

  /**
   * @param target As the caller gave it, or the paths of an earlier run.
   * @throws `TypeError` for a wrong target or option.
   */
  constructor(
    readonly host: LegacyHost,
    target: string | LegacyPaths,
    readonly options: ChangingOptions,
  ) {
    const given = target instanceof LegacyPaths ? target : new LegacyPaths(target);
    this.paths = given;
    try {
      if (given !== target) this.paths = realPaths(host, given);
    } catch (error) {
      this.#misplaced = error instanceof Error ? error : new Error(String(error));
    }
    const { normalizeKey, updatedAt, limits } = resolveOptions(this.#storeOptions());
    this.rules = { normalizeKey, limits, updatedAt: (entry) => updatedAt(entry) ?? 0 };
    this.dryRun = options.dryRun ?? false;
    this.json5BytesMax = options.json5BytesMax ?? JSON5_BYTES_MAX;
    this.force = options.force ?? false;
    this.signal = options.signal;
    this.#started = host.runtime.monotonic();
  }

  get durationMs(): number {
    return Math.round(this.host.runtime.monotonic() - this.#started);
  }

  /** @throws What stood in the way to the real place. */
  assertPlace(): void {
    if (this.#misplaced !== undefined) throw this.#misplaced;
  }

  progress(phase: LegacyProgress["phase"], done: number, total: number, entries: number): void {
    this.options.onProgress?.({ phase, path: this.paths.file, done, total, entries });
  }

  throwIfAborted(): void {
    this.signal?.throwIfAborted();
  }

  /**
   * A store whose keys are normalized already.
   * @param options `onWarning` by default hears nothing: what a run has to say of a store it finds out by itself.
   * @throws `store_not_found` also where the store was a moment ago: another process may have rolled it back, and a
   *   new, empty one in its place would count more than the legacy file.
   */
  openStore(
    path: string,
    options: OpenOptions<object> = {},
    fs = this.host.fs,
  ): Promise<DirectorySessionStore<object>> {
    const { normalizeKey: _, ...given } = this.#storeOptions();
    const all = { ...given, create: false, cacheBytes: CACHE_BYTES, onWarning: () => {}, ...options };
    return openDirectoryStoreOn<object>(fs, this.host.runtime, path, all);
  }

  /** Opens a store for a moment, to read something. */
  async peek<T>(
    path: string,
    look: (store: DirectorySessionStore<object>) => Promise<T>,
    options: OpenOptions<object> = {},
  ): Promise<T> {
    const store = await this.openStore(path, { ...options, readOnly: true });
    try {
      return await look(store);
    } finally {
      await store.close();
    }
  }

  /**
   * The error as a report has it.
   * @param state What is true now, as a sentence for people.
   * @throws The reason of an aborted signal.
   */
  failure(error: unknown, doing: string, state: string): LegacyFailure {
    if (this.signal?.aborted === true) throw this.signal.reason;
    if (error instanceof TypeError) throw error;
    const known = asStoreError(error, doing);
    if (!(known instanceof SessionStoreError)) throw known;
    return { code: known.code, message: messageOf(known, doing, state), data: known.data };
  }

  /**
   * Whether an error can come from another process that was faster: what was there a moment ago is gone, or stands where
   * it was not. Then everything is to be looked at again; if the error is real it will come back.
   * @param last Nobody will look again: what names a fault of its own is then told.
   */
  overtaken(error: unknown, last: boolean): boolean {
    if (GONE.has(errnoOf(error) ?? "")) return true;
    if (!(error instanceof SessionStoreError)) return false;
    return (
      (!last && DAMAGED.has(error.code)) ||
      error.code === "store_not_found" ||
      GONE.has(errnoOf(error.cause) ?? "")
    );
  }

  /** The command line that does this with the same store. */
  readonly command = (verb: string): string => `sessiondir ${verb} --store ${shellQuoted(this.paths.file)}`;

  #storeOptions(): OpenOptions<object> {
    const { normalizeKey, updatedAt, limits, trust } = this.options;
    return { normalizeKey, updatedAt, limits, trust };
  }
}

function realPaths({ fs }: LegacyHost, { file }: LegacyPaths): LegacyPaths {
  const { folder, name } = findLegacyPlace(fs, file);
  return new LegacyPaths(join(folder, `${name}.json`));
}

/** What went wrong, and what is true now. A failed call is told anew: whoever made it may have said what only it left alone. */
export function messageOf({ code, message, data }: SessionStoreError, doing: string, state: string): string {
  const { errno, syscall, path } = data;
  if ((code !== "io_error" && code !== "disk_full") || errno === undefined) return `${message} ${state}`;
  const where = path === undefined ? "" : ` (${path})`;
  const advice = code === "disk_full" ? "Free some space and try again. " : "";
  return `could not ${doing}: ${syscall} failed with ${errno}${where}. ${advice}${state}`;
}
