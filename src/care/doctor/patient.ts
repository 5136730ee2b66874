/**
 * The store that is examined, as one look at it sees it: what several checks need is read once, when the first of them asks.
 *
 * It only reads. Other processes may change the store meanwhile, so what is compared is read in an order in which a change
 * explains itself: the catalog, then the files, then the log once more. What that does not explain is looked at
 * a second time by another patient (`examine.ts`).
 */
import { SessionStoreError, asStoreError, type StoreWarning } from "../../errors.js";
import { unlessMissing } from "../../fs/missing.js";
import { readRegularFile } from "../../fs/regular-file.js";
import { namesInNow, statusNow } from "../../fs/status.js";
import { openTrustedRoot, type TrustedRoot } from "../../fs/trusted-path.js";
import { crc32Number } from "../../format/crc32.js";
import { ENTRY_FILE, isSystemName, Layout, STORE_FOLDER } from "../../format/layout.js";
import { shellQuoted } from "../../legacy/base/paths.js";
import { openDirectoryStoreOn } from "../../store/open.js";
import type { DirectorySessionStore } from "../../store/types.js";
import { lookAtCatalog, type CatalogLook } from "./catalog-look.js";
import { lookAtEntries, type EntriesLook } from "./entries-look.js";
import { keptEntries, type KeptEntry } from "./kept-entries.js";
import { LogLook } from "./log-look.js";
import type { Seen } from "./seen.js";
import type { DoctorHost, DoctorLevel, DoctorOptions, Finding } from "./types.js";

export type Entry = Record<string, unknown>;
export type Store = DirectorySessionStore<Entry>;

/** What a store says that was opened to be read; or why it cannot be. */
export type Opened =
  { readonly store: Store; readonly warnings: readonly StoreWarning[] } | { readonly error: unknown };

/** The format that this version knows. */
export const FORMAT = 2;
export const FORMAT_BYTES_MAX = 64 * 1024;
const LEVELS: readonly DoctorLevel[] = ["quick", "default", "deep"];

/** The id that a store's `format.json` says; undefined where it says none, or is of another format. */
export function storeIdIn(fs: DoctorHost["fs"], { format: path }: Layout): string | undefined {
  try {
    const bytes = readRegularFile(fs, path, { bytesMax: FORMAT_BYTES_MAX });
    const value = (JSON.parse(bytes.toString("utf8")) ?? {}) as Record<string, unknown>;
    const { kind, format, storeId } = value;
    if (kind !== "sessiondir" || format !== FORMAT) return undefined;
    return typeof storeId === "string" && storeId !== "" ? storeId : undefined;
  } catch {
    return undefined;
  }
}

export class Patient implements Seen {
  readonly fs: DoctorHost["fs"];
  readonly runtime: DoctorHost["runtime"];
  readonly layout: Layout;
  readonly level: DoctorLevel;
  readonly sample: number;
  #names: string[] | undefined;
  #folders: string[] | undefined;
  #kept: KeptEntry[] | undefined;
  #log: LogLook | undefined;
  #catalog: CatalogLook | undefined;
  #entries: Promise<EntriesLook> | undefined;
  #opened: Promise<Opened> | undefined;

  private constructor(
    readonly host: DoctorHost,
    /** Towards people: the real path. */
    readonly path: string,
    private readonly root: TrustedRoot,
    readonly options: DoctorOptions,
    private readonly seed: string,
  ) {
    this.fs = host.fs;
    this.runtime = host.runtime;
    this.layout = new Layout(root.path);
    this.level = options.level ?? "default";
    this.sample = options.sample ?? 1;
  }

  /**
   * @param seed Which sample it is.
   * @throws `store_not_found`, `not_a_store`, `path_untrusted`, and what the system says.
   */
  static admit(host: DoctorHost, path: string, options: DoctorOptions, seed: string): Patient {
    const root = unlessMissing(() => openTrustedRoot(host.fs, path, options.trust));
    if (root === undefined) throw notFound(path);
    const patient = new Patient(host, root.realPath, root, options, seed);
    try {
      patient.#assertStore();
      return patient;
    } catch (error) {
      root.close();
      throw error;
    }
  }

  async discharge(): Promise<void> {
    this.#log?.close();
    try {
      const opened = await this.#opened?.catch(() => undefined);
      if (opened !== undefined && "store" in opened) await opened.store.close();
    } finally {
      this.root.close();
    }
  }

  get signal(): AbortSignal | undefined {
    return this.options.signal;
  }

  includes(level: DoctorLevel): boolean {
    return LEVELS.indexOf(this.level) >= LEVELS.indexOf(level);
  }

  /** Names in the store's folder, sorted. */
  get names(): readonly string[] {
    return (this.#names ??= this.fs.readdir(this.layout.root).sort());
  }

  get hasStore(): boolean {
    return this.names.includes(STORE_FOLDER);
  }

  /** Names that may be folders of sessions, whatever they are. */
  get candidates(): string[] {
    return this.names.filter((name) => !name.startsWith(".") && !isSystemName(name));
  }

  /** Those of them that are folders, and no links to one. */
  get folders(): readonly string[] {
    return (this.#folders ??= this.candidates.filter(
      (name) => statusNow(this.fs, `${this.layout.root}/${name}`)?.kind === "directory",
    ));
  }

  /** The id in `format.json`; undefined where it does not say one, or is of another format. */
  get storeId(): string | undefined {
    return storeIdIn(this.fs, this.layout);
  }

  /** The live log, read to its end; undefined where nothing says which store it must be of. */
  get log(): LogLook | undefined {
    if (this.#log !== undefined) return this.#log;
    const { storeId } = this;
    if (storeId === undefined || !this.hasStore) return undefined;
    return (this.#log = new LogLook(this.fs, this.layout, storeId));
  }

  /** What catalogs say. */
  get catalog(): CatalogLook {
    return (this.#catalog ??= lookAtCatalog(this));
  }

  /** All sessions' files. */
  entries(): Promise<EntriesLook> {
    return (this.#entries ??= this.#lookAtEntries());
  }

  async #lookAtEntries(): Promise<EntriesLook> {
    void this.catalog; // before the files: a file is never older than a catalog that was there before
    const entries = await lookAtEntries(this);
    this.log?.catchUp();
    return entries;
  }

  /** Whole entry files in the quarantine. */
  get kept(): readonly KeptEntry[] {
    return (this.#kept ??= keptEntries(this.fs, this.layout.quarantine));
  }

  /** The store itself, opened to be read. */
  opened(): Promise<Opened> {
    return (this.#opened ??= this.#open());
  }

  async #open(): Promise<Opened> {
    const warnings: StoreWarning[] = [];
    const options = {
      readOnly: true,
      cacheBytes: 0,
      ...(this.options.trust !== undefined && { trust: this.options.trust }),
      onWarning: (warning: StoreWarning) => void warnings.push(warning),
    };
    try {
      const store = await openDirectoryStoreOn<Entry>(this.fs, this.runtime, this.path, options);
      return { store, warnings };
    } catch (error) {
      return { error: asStoreError(error, `open the session store ${this.path}`) };
    }
  }

  /** Whether the content of something is in the sample. */
  isSampled(name: string): boolean {
    return this.sample >= 1 || crc32Number(this.seed + name) / 2 ** 32 < this.sample;
  }

  /** A path for people. */
  real(path: string): string {
    let real = path.replaceAll(this.root.path, this.path);
    for (const [scratch, label] of this.host.labels ?? []) {
      const [before = "", ...behind] = real.split(scratch);
      real = before + behind.map((rest) => label + rest.replace(/^\/[^\s,;]*/, "")).join("");
    }
    return real;
  }

  /** A finding with real paths. */
  finding(finding: Finding): Finding {
    const { path, cause, next } = finding;
    return { ...finding, path: this.real(path), cause: this.real(cause), next: this.real(next) };
  }

  /** What a person types, about this store. */
  command(verb: string, ...options: readonly string[]): string {
    return ["sessiondir", verb, ...options, "--store", shellQuoted(this.path)].join(" ");
  }

  /** The next step for what `--fix` repairs. */
  fix(repair: "live" | "alone"): string {
    return repair === "live"
      ? this.command("doctor", "--fix")
      : `stop all processes of the store, then ${this.command("doctor", "--fix", "--alone")}`;
  }

  #assertStore(): void {
    if (this.hasStore) return;
    for (const name of this.folders)
      if (namesInNow(this.fs, `${this.layout.root}/${name}`).includes(ENTRY_FILE)) return;
    const [found] = this.candidates;
    if (found === undefined) throw notFound(this.path);
    throw new SessionStoreError(
      "not_a_store",
      `${this.path} has no ${STORE_FOLDER} folder and no folder of a session, but other things, for example ` +
        `${JSON.stringify(found)}. Give the path of a session store.`,
      { data: { path: this.path, found } },
    );
  }
}

function notFound(path: string): SessionStoreError {
  return new SessionStoreError(
    "store_not_found",
    `there is no session store at ${path}. Check the path; nothing was made.`,
    { data: { path } },
  );
}
