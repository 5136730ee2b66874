/**
 * A store in a temporary folder of the real file system, and what tests need to damage it and to look at it.
 *
 * Time stands still and no timer fires by itself, so entry files are written by `flush` and `checkpoint` only.
 */
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { SessionStoreError, type StoreWarning } from "../../../src/errors.js";
import { nodeFileSystem } from "../../../src/fs/node-file-system.js";
import { composeEntryDocument, parseEntryDocument } from "../../../src/format/entry-document.js";
import { encodeLogLine } from "../../../src/format/log-line.js";
import { folderNameForKey } from "../../../src/format/session-key.js";
import type { StoredObject } from "../../../src/format/stored-value.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { OpenOptions } from "../../../src/store/options.js";
import type { DirectorySessionStore } from "../../../src/store/types.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";

export type Entry = Record<string, unknown>;
export type Store = DirectorySessionStore<Entry>;

/** Long enough to be stored as a shared value of its own. */
export const BIG = "big ".repeat(2000);

export const ROOT = process.getuid?.() === 0;

let seed = 0;

/** Of a real disk a sixteenth is much: a quarter of a megabyte would be made durable for each store of the tests. */
const RESERVE_BYTES = 4096;

export class Sandbox {
  /** Real path of a private folder. */
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), "sessiondir-hostile-")));
  readonly path = join(this.root, "sessions.d");
  /** What the open stores warned of, in order. */
  warnings: StoreWarning[] = [];
  readonly #open: Store[] = [];

  async open(options: OpenOptions<Entry> = {}): Promise<Store> {
    const runtime = new ManualRuntime({ seed: ++seed, yields: "event-loop" });
    const resolved: OpenOptions<Entry> = {
      durability: "os",
      onWarning: (warning) => this.warnings.push(warning),
      ...options,
    };
    const store = await openDirectoryStoreOn<Entry>(
      nodeFileSystem,
      runtime,
      this.path,
      resolved,
      RESERVE_BYTES,
    );
    this.#open.push(store);
    return store;
  }

  async close(): Promise<void> {
    for (const store of this.#open.splice(0)) await store.close();
  }

  /** Closes what is open and opens it again, as the next process would. */
  async reopen(options: OpenOptions<Entry> = {}): Promise<Store> {
    await this.close();
    this.warnings = [];
    return this.open(options);
  }

  /** Makes a store with these sessions, all of them in their files and none in the log. */
  async filled(sessions: Readonly<Record<string, Entry>>): Promise<void> {
    const store = await this.open();
    for (const [key, entry] of Object.entries(sessions)) await store.put(key, entry);
    await store.checkpoint();
    await this.close();
  }

  async dispose(): Promise<void> {
    await this.close().catch(() => {});
    rmSync(this.root, { recursive: true, force: true });
  }

  /** A path in the store's folder. */
  at(...names: string[]): string {
    return join(this.path, ...names);
  }

  /** A path beside the store: nothing of the store's business. */
  outside(...names: string[]): string {
    return join(this.root, "outside", ...names);
  }

  folderOf(key: string): string {
    return this.at(folderNameForKey(key));
  }

  entryFile(key: string): string {
    return join(this.folderOf(key), "meta.json");
  }

  /** Puts a well-formed file there, whoever's it says it is. */
  writeEntry(path: string, key: string, revision: number, stored: StoredObject): void {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, composeEntryDocument({ key, revision, modifiedAt: 1, stored }).bytes);
  }

  /** Revision in a session's file, which must be whole. */
  revisionOf(key: string): number {
    const parsed = parseEntryDocument(readFileSync(this.entryFile(key)));
    if (!parsed.ok) throw new Error(`${this.entryFile(key)}: ${parsed.reason}`);
    return parsed.revision;
  }

  /** Names of the log segments, lowest first. */
  segments(): string[] {
    return readdirSync(this.at(".store", "log")).sort();
  }

  /** Path of the active segment, or of the n-th. */
  segment(index = -1): string {
    return this.at(".store", "log", this.segments().at(index) ?? "none");
  }

  /** Every shared value that is in its place. */
  blobs(): string[] {
    return filesBelow(this.at(".store", "blobs"));
  }

  warned(code: StoreWarning["code"]): StoreWarning[] {
    return this.warnings.filter((warning) => warning.code === code);
  }
}

/** A sandbox for each test, removed afterwards. */
export function useSandbox(): { readonly box: Sandbox } {
  const holder: { box: Sandbox } = { box: undefined as unknown as Sandbox };
  beforeEach(() => {
    holder.box = new Sandbox();
  });
  afterEach(() => holder.box.dispose());
  return holder;
}

/** Everything below a path: kind, mode, identity, time of change and content. Equal snapshots: nobody touched it. */
export function snapshot(path: string): Record<string, string> {
  const found: Record<string, string> = {};
  const visit = (at: string): void => {
    const status = lstatSync(at, { bigint: true });
    const where = `${status.ino} ${status.mode.toString(8)} ${status.nlink} ${status.size} ${status.mtimeNs}`;
    if (status.isSymbolicLink()) found[at] = `${where} -> ${readlinkSync(at)}`;
    else if (status.isFile()) {
      found[at] = `${where} ${createHash("sha256").update(readFileSync(at)).digest("hex")}`;
    } else {
      found[at] = where;
      if (status.isDirectory()) for (const name of readdirSync(at).sort()) visit(join(at, name));
    }
  };
  visit(path);
  return found;
}

export function filesBelow(path: string): string[] {
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((item) => item.isFile())
    .map((item) => join(item.parentPath, item.name))
    .sort();
}

/** A log line with a valid checksum, whatever it says. */
export function logLine(value: unknown): Buffer {
  return encodeLogLine(typeof value === "string" ? value : JSON.stringify(value));
}

/** The store's error that a call must end in. */
export async function failureOf(work: () => unknown): Promise<SessionStoreError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof SessionStoreError) {
      // What is shown to people must name real paths, and what is logged must survive JSON.
      expect(error.message).not.toContain("/proc/self/fd");
      expect(JSON.stringify(error)).not.toContain("/proc/self/fd");
      return error;
    }
    throw error;
  }
  throw new Error("the call succeeded");
}

export async function codeOf(work: () => unknown): Promise<string> {
  return (await failureOf(work)).code;
}
