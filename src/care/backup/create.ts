/**
 * Makes a backup of a store in use, as of one revision.
 *
 * In this order: claim, objects, their folders synced, all of it read again, the manifest into the claim, one rename. A
 * crash before the rename leaves objects that no backup names, and a claim that is removed an hour later; every backup that
 * was there stays as it was, because nothing that a manifest names is ever written to.
 */
import { asStoreError, isDiskFull, SessionStoreError } from "../../errors.js";
import { createFile } from "../../fs/regular-file.js";
import { assertTrustedParents, type Trust } from "../../fs/trusted-path.js";
import { checkBackup } from "./check.js";
import { Claim, removeSilentClaims } from "./claims.js";
import { FileCopier, type Before } from "./copy-files.js";
import {
  assertOutsideStores,
  backupName,
  makeBackupFolder,
  openBackupFolder,
  place,
  planBackupFolder,
  type BackupFolder,
} from "./folder.js";
import {
  backupNames,
  composeManifest,
  infoOf,
  readManifest,
  readRows,
  requirePart,
  type Manifest,
} from "./manifest.js";
import { listObjects, ObjectWriter } from "./objects.js";
import { forEach, Pace } from "./pace.js";
import { Overtaken, PinnedStore } from "./pinned-store.js";
import { recorded } from "./record.js";
import { changesBetween, composePart, mergeParts, type ListPart, type Row } from "./rows.js";
import { optionalBoolean, settle, warner, type Settled } from "./settle.js";
import { syncFolder } from "./sync-folder.js";
import type { BackupHost, BackupWarning, CreateOptions, CreateReport } from "./types.js";

/** Each attempt begins with the log as it is then, so that one fails only on a machine that hardly gives it any time. */
const ATTEMPTS_MAX = 5;
/** File systems tell times by a clock that stands still for a moment, two seconds at most (FAT). */
const CLOCK_MS = 2000;
/** No file was ever modified before that. */
const NOTHING_BEFORE: Before = { rows: new Map(), unchangedSince: Number.NEGATIVE_INFINITY };

/** Objects that were relied on are damaged: they are written anew. */
class ObjectsDamaged extends Error {
  override readonly name = "ObjectsDamaged";
  constructor(readonly hashes: readonly string[]) {
    super(`${hashes.length} objects are damaged`);
  }
}

export async function createBackupOn(
  host: BackupHost,
  store: string,
  backups: string,
  options?: CreateOptions,
): Promise<CreateReport> {
  const settled = settle(options, { store, backups }, ["create", "dryRun"]);
  const dryRun = optionalBoolean(options?.dryRun, "options.dryRun") ?? false;
  const mayMake = optionalBoolean(options?.create, "options.create") ?? true;
  try {
    return await create(host, store, backups, settled, mayMake, dryRun);
  } catch (error) {
    throw told(error, backups);
  }
}

async function create(
  host: BackupHost,
  store: string,
  backups: string,
  settled: Settled,
  mayMake: boolean,
  dryRun: boolean,
): Promise<CreateReport> {
  const { runtime } = host;
  const { trust } = settled;
  const started = runtime.monotonic();
  const { warn, warnings } = warner(settled.onWarning);
  // What opening the store tells of its log is told, where it matters, by a failure.
  const first = PinnedStore.open(host, store, trust, () => {});
  const { storeId, path } = first;
  first.close();
  assertApart(host, path, backups, trust);
  if (!mayMake) openBackupFolder(host, backups, trust);
  const reportOf = (manifest: Manifest, folder: BackupFolder): CreateReport => {
    const durationMs = Math.round(runtime.monotonic() - started);
    return { ...infoOf(manifest), path: folder.path, dryRun, durationMs, warnings };
  };
  if (dryRun) {
    const folder = planBackupFolder(host, backups, trust, storeId);
    return reportOf(await tryAll(host, store, folder, settled, warn, dryRun), folder);
  }
  const folder = await makeBackupFolder(host, backups, trust, storeId);
  return recorded(host, folder, "create", warn, async () => {
    const manifest = await tryAll(host, store, folder, settled, warn, dryRun);
    const { name, revision, writtenBytes } = manifest;
    return { result: reportOf(manifest, folder), outcome: { name, revision, writtenBytes } };
  });
}

async function tryAll(
  host: BackupHost,
  store: string,
  folder: BackupFolder,
  settled: Settled,
  warn: (warning: BackupWarning) => void,
  dryRun: boolean,
): Promise<Manifest> {
  const damaged = new Set<string>();
  let overtaken: Overtaken | undefined;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    settled.signal?.throwIfAborted();
    try {
      const making = new Making(host, store, folder, settled, damaged, warn);
      return await (dryRun ? making.plan() : making.run());
    } catch (error) {
      if (error instanceof Overtaken) overtaken = error;
      else if (error instanceof ObjectsDamaged) for (const hash of error.hashes) damaged.add(hash);
      else throw error;
    }
  }
  if (overtaken === undefined) {
    const path = folder.objects;
    const message = `what was written to ${path} is not what is read there, ${ATTEMPTS_MAX} times. No backup was made: check the disk.`;
    throw new SessionStoreError("backup_damaged", message, { data: { path } });
  }
  throw new SessionStoreError(
    "backup_overtaken",
    `${store} went on faster than it could be copied, ${ATTEMPTS_MAX} times (${overtaken.message}). No backup was made: try again ` +
      "when the machine has less to do.",
    { data: { path: store, reason: overtaken.message } },
  );
}

/** The backup that a new one is compared with. */
interface Base {
  readonly before: Before;
  readonly manifest: Manifest | undefined;
}

/** One attempt. */
class Making {
  constructor(
    private readonly host: BackupHost,
    private readonly store: string,
    private readonly folder: BackupFolder,
    private readonly settled: { readonly trust: Trust; readonly signal: AbortSignal | undefined },
    private readonly damagedObjects: ReadonlySet<string>,
    private readonly warn: (warning: BackupWarning) => void,
  ) {}

  async run(): Promise<Manifest> {
    const { host, folder } = this;
    await removeSilentClaims(host, folder);
    const claim = await Claim.make(host, folder);
    try {
      const manifest = await this.#make(claim);
      await claim.release();
      return manifest;
    } catch (error) {
      await claim.release().catch(() => {}); // the next attempt, or prune, removes it
      throw error;
    }
  }

  /** What it would come to; nothing is written, and nothing of what is there is read to verify it. */
  plan(): Promise<Manifest> {
    return this.#make(undefined);
  }

  async #make(claim: Claim | undefined): Promise<Manifest> {
    const { host, folder, settled, damagedObjects } = this;
    const { fs, runtime } = host;
    const beat = (): Promise<void> | undefined => claim?.beat();
    const startedAt = Math.trunc(runtime.now());
    const pace = new Pace(host, settled.signal);
    pace.beat = beat;
    const base = this.#base();
    const known = listObjects(fs, folder);
    const dryRun = claim === undefined;
    const objects = new ObjectWriter(fs, folder, claim?.path ?? "", known, damagedObjects, dryRun);
    const store = PinnedStore.open(host, this.store, settled.trust, () => {});
    try {
      await store.begin(pace.step);
      pace.beat = () => {
        store.follow();
        return beat();
      };
      const copier = new FileCopier(host, store, objects, base.before, pace.step, this.warn);
      await copier.copy();
      pace.beat = beat;
      const lists = await this.#writeLists(objects, base, copier.rows);
      if (!dryRun) await this.#syncFolders(objects);
      let bytes = 0;
      for (const row of copier.rows.values()) bytes += row.bytes;
      const manifest: Manifest = {
        name: backupName(startedAt, runtime.randomName(3), backupNames(fs, folder)[0]),
        revision: store.revision,
        startedAt,
        endedAt: Math.trunc(runtime.now()),
        sessions: copier.sessions,
        damaged: copier.damaged,
        ...(copier.leftOut.length > 0 && { leftOut: copier.leftOut }),
        files: copier.rows.size,
        bytes,
        writtenBytes: objects.writtenBytes,
        storeId: store.storeId,
        store: store.path,
        stages: store.segments.map(({ ledger }) => ledger.stage),
        lists,
      };
      if (claim === undefined) return manifest;
      await this.#verify(manifest, pace);
      return await this.#publish(claim, { ...manifest, endedAt: Math.trunc(runtime.now()) });
    } finally {
      store.close();
    }
  }

  /** The newest backup that can be read: what it has need not be read again where it did not change. */
  #base(): Base {
    const { fs } = this.host;
    for (const name of backupNames(fs, this.folder)) {
      const manifest = readManifest(fs, this.folder, name);
      if (
        typeof manifest !== "object" ||
        manifest.lists.some(({ sha256 }) => this.damagedObjects.has(sha256))
      )
        continue;
      try {
        const rows = readRows(fs, this.folder, manifest);
        return { before: { rows, unchangedSince: manifest.startedAt - CLOCK_MS }, manifest };
      } catch (error) {
        if (!(error instanceof SessionStoreError)) throw error;
      }
    }
    return { before: NOTHING_BEFORE, manifest: undefined };
  }

  async #writeLists(
    objects: ObjectWriter,
    { before, manifest }: Base,
    rows: ReadonlyMap<string, Row>,
  ): Promise<readonly ListPart[]> {
    const { changes, rest } = mergeParts(changesBetween(before.rows, rows), manifest?.lists ?? [], (part) =>
      requirePart(this.host.fs, this.folder, part, manifest?.name ?? ""),
    );
    if (changes.size === 0 && rest.length > 0) return rest;
    const bytes = composePart(changes);
    return [{ sha256: await objects.put(bytes), rows: changes.size, bytes: bytes.length }, ...rest];
  }

  async #syncFolders(objects: ObjectWriter): Promise<void> {
    const { fs } = this.host;
    let durable = true;
    await forEach(objects.folders, async (path) => {
      durable = (await syncFolder(fs, path)) && durable;
    });
    durable = (await syncFolder(fs, this.folder.objects)) && durable;
    if (durable) return;
    const { path } = this.folder;
    const message =
      `${path}: folders cannot be synced on this file system, so a power cut may undo the newest backup. Older ones stay good: ` +
      "verify after a power cut.";
    this.warn({ code: "durability_limited", message, data: { path } });
  }

  async #verify(manifest: Manifest, pace: Pace): Promise<void> {
    const { problems } = await checkBackup(this.host, this.folder, manifest, new Set(), pace.step);
    if (problems.length === 0) return;
    for (const { path, what } of problems.slice(0, 10)) {
      const message = `${path} is ${what}, although an older backup relies on it: it is written anew, from the store.`;
      this.warn({ code: "backup_object_rewritten", message, data: { path } });
    }
    throw new ObjectsDamaged(problems.map(({ path }) => path.slice(path.lastIndexOf("/") + 1)));
  }

  async #publish(claim: Claim, manifest: Manifest): Promise<Manifest> {
    const { fs } = this.host;
    const temporary = `${claim.path}/manifest.json`;
    await createFile(fs, temporary, composeManifest(manifest), { sync: true });
    await fs.later.rename(temporary, this.folder.manifest(manifest.name));
    await syncFolder(fs, this.folder.manifests);
    return manifest;
  }
}

/** Backups in a store would be taken for a session, and a store in a folder of backups for damage. */
function assertApart({ fs }: BackupHost, store: string, backups: string, trust: Trust): void {
  const { realPath: path } = assertTrustedParents(fs, backups, trust);
  assertOutsideStores(fs, path);
  const inside = (inner: string, outer: string): boolean => inner === outer || inner.startsWith(`${outer}/`);
  if (!inside(path, store) && !inside(store, path)) return;
  throw place(
    `${path} and the store ${store} are one in the other. Nothing was written: give a folder beside the store, better on another disk.`,
    { path, store },
  );
}

function told(error: unknown, backups: string): unknown {
  const full = isDiskFull(error);
  const known = asStoreError(error, `make a backup in ${backups}`);
  if (!full || !(known instanceof SessionStoreError)) return known;
  const message =
    `there is no room for a backup in ${backups}. The backups that are there are as they were: free some space, or ` +
    `remove old ones (sessiondir backup prune), and try again.`;
  return new SessionStoreError("disk_full", message, {
    data: { ...known.data, path: backups },
    cause: error,
  });
}
