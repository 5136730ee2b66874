/**
 * Backups and exports that `--backup` names, as stores that can be read: each in a scratch folder that is removed afterwards.
 *
 * A backup is restored as `sessiondir backup restore` does it, verified, and moves its log into files, so that each session has the file
 * of its revision. An export is imported; what can be read of it counts, for it may be the only one. A kill leaves a folder
 * `sessiondir-doctor-<hex>` in the system's temporary folder.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SessionStoreError } from "../../errors.js";
import { existsNow, statusNow } from "../../fs/status.js";
import { removeTree } from "../../legacy/base/tree.js";
import { openDirectoryStoreOn } from "../../store/open.js";
import { openBackupFolder, type BackupFolder } from "../backup/folder.js";
import { listed } from "../backup/list.js";
import { requireManifest } from "../backup/manifest.js";
import { Pace } from "../backup/pace.js";
import { restoreTo } from "../backup/restore.js";
import { importFromFileOn, timesInFile } from "../moving/export-file.js";
import type { Entry, Store } from "./patient.js";
import type { DoctorHost, DoctorOptions } from "./types.js";

/** A store that was made of a backup or an export. */
export interface Unpacked {
  readonly path: string;
  /** What it was made of, for people. */
  readonly label: string;
  /** Its revisions and times are those of the store that is examined. */
  readonly isCopy: boolean;
  /** Otherwise: when records were changed last, by key, as far as it is known. */
  readonly times?: ReadonlyMap<string, number>;
}

/** A source as it was named. */
export interface Source {
  readonly path: string;
  readonly kind: "copy" | "backups" | "export";
  /** Of backups: the names of the good ones, newest first. */
  readonly names: readonly string[];
  readonly folder?: BackupFolder;
}

/**
 * What a path is that `--backup` named.
 * @param storeId Of the store that is examined; undefined where nothing says it.
 * @throws `backup_not_found` where nothing is, or no good backup; `backup_place` for backups of another store.
 */
export function sourceAt(
  host: DoctorHost,
  path: string,
  storeId: string | undefined,
  { trust = "owner" }: DoctorOptions,
): Source {
  const { fs } = host;
  const status = statusNow(fs, path);
  if (status === undefined) throw notFound(path, "there is nothing at");
  if (/\.jsonl(?:\.gz)?$/.test(path) && status.kind !== "directory")
    return { path, kind: "export", names: [] };
  if (!existsNow(fs, `${path}/sessiondir-backups.json`)) return { path, kind: "copy", names: [] };
  const folder = openBackupFolder(host, path, trust);
  if (storeId !== undefined && folder.storeId !== storeId)
    throw new SessionStoreError(
      "backup_place",
      `${path} has the backups of another store (${folder.storeId}, and this one is ${storeId}). Nothing was changed: give the ` +
        "folder with this store's backups.",
      { data: { path, found: folder.storeId, expected: storeId } },
    );
  const names = listed(host, folder).flatMap(({ name, good }) => (good ? [name] : []));
  if (names.length === 0) throw notFound(path, "there is no good backup in");
  return { path, kind: "backups", names, folder };
}

function notFound(path: string, what: string): SessionStoreError {
  return new SessionStoreError("backup_not_found", `${what} ${path}. Nothing was changed: check the path.`, {
    data: { path },
  });
}

/** Makes stores, and removes them in the end. */
export class Unpacker {
  readonly #made: string[] = [];

  constructor(
    private readonly host: DoctorHost,
    private readonly options: DoctorOptions,
  ) {}

  /** @param name Of a backup of the source. @throws What restoring throws: `backup_damaged`, `disk_full`, … */
  async backup({ folder, path }: Source, name: string): Promise<Unpacked> {
    const { host, options } = this;
    if (folder === undefined) throw new TypeError("it is no folder of backups");
    const to = this.#place();
    const { trust = "owner", signal } = options;
    const manifest = requireManifest(host.fs, folder, name);
    const at = await restoreTo(host, folder, manifest, to, trust, new Pace(host, signal), signal);
    const store = await this.#open(at, false);
    try {
      await store.checkpoint(); // each session has its file then
    } finally {
      await store.close();
    }
    return { path: at, label: `backup ${name} in ${path}`, isCopy: true };
  }

  async export({ path }: Source): Promise<Unpacked> {
    const at = this.#place();
    const store = await this.#open(at, true);
    try {
      // A session that comes again in it came later.
      await importFromFileOn(this.host, store, path, {
        onConflict: "replace",
        salvage: true,
        signal: this.options.signal,
      });
      await store.checkpoint();
    } finally {
      await store.close();
    }
    const times = await timesInFile(this.host.fs, path, this.options.signal);
    return { path: at, label: path, isCopy: false, times };
  }

  /** @returns What the work makes of the store. */
  async reading<R>({ path }: Pick<Unpacked, "path">, work: (store: Store) => Promise<R>): Promise<R> {
    const store = await openDirectoryStoreOn<Entry>(this.host.fs, this.host.runtime, path, {
      ...this.#options(),
      readOnly: true,
    });
    try {
      return await work(store);
    } finally {
      await store.close();
    }
  }

  async remove(): Promise<void> {
    for (const path of this.#made.splice(0)) await removeTree(this.host, path).catch(() => {}); // scratch
  }

  #place(): string {
    const path = join(tmpdir(), `sessiondir-doctor-${this.host.runtime.randomName(8)}`);
    this.#made.push(path);
    return path;
  }

  #open(path: string, create: boolean): Promise<Store> {
    return openDirectoryStoreOn<Entry>(this.host.fs, this.host.runtime, path, { ...this.#options(), create });
  }

  #options(): object {
    const { trust } = this.options;
    return { durability: "os", onWarning: () => {}, ...(trust !== undefined && { trust }) };
  }
}
