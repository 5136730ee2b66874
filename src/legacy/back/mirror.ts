/**
 * Mirror: keeps `NAME.json` in step with the store, for tools and old gateways that read it.
 *
 * Any number of processes may run one. They never wait for each other and need no lock; a record of every file that a
 * mirror writes lies in the store (known-files.ts), and that decides. A round:
 *
 *   1. is the file one that is recorded? If not, somebody else wrote it: merge it into the store and record it
 *   2. has it every record up to the store's revision? Then nothing is to be done: transcripts are not in it
 *   3. make `NAME.json.writing-<revision>-…`, then ask the store for its sessions
 *   4. write it, sync it, read it back, make the commits that it has durable, record it
 *   5. take away the unfinished files of lower revisions
 *   6. rename it to `NAME.json`, if that is still the file that was looked at in 1
 *
 * So the file never goes back: a slower writer, even one that was suspended for a day between any two calls, either finds
 * its file gone (it was there in somebody's step 5), or asked the store after that somebody (it was not). Two writers of
 * one revision write the same. Killed anywhere: before the rename the old file is there and is recorded, after it the new
 * one; the next round of any process goes on, and takes away what was left unfinished.
 *
 * A session that the store cannot read keeps the copy that the file has of it, or the newest backup (damage.ts).
 *
 * Store and file are compared every few seconds: one lstat and one read of no bytes, if nothing happened.
 */
import { asStoreError, SessionStoreError, type ErrorData } from "../../errors.js";
import { ignoreMissing } from "../../fs/missing.js";
import { namesIn, statusOf } from "../../fs/status.js";
import { STORE_FOLDER } from "../../format/layout.js";
import { entriesOf } from "../../plural.js";
import type { Timer } from "../../runtime.js";
import type { DirectorySessionStore } from "../../store/types.js";
import { linkBackup, mergeForeign, notAFile } from "../merging/absorb.js";
import { isStore, stampNow, systemHost, type LegacyHost } from "../base/host.js";
import { KnownFiles, recordKnownFile, type KnownFile } from "../merging/known-files.js";
import { hashFile } from "../reading/read-file.js";
import type { Tally } from "../base/tally.js";
import { replaceLegacyFile } from "./replace-file.js";
import type { LegacyOptions, LegacyWarning } from "../base/types.js";
import { LegacyWork, messageOf } from "../run/work.js";
import { describeDamage } from "../run/damage.js";
import { DamageReports } from "../base/damage-reports.js";
import { writeLegacyFile } from "./write-file.js";

export interface MirrorOptions extends Omit<LegacyOptions, "onProgress" | "signal"> {
  /** How long changes are collected before the file is written, in milliseconds. Default 5000. */
  readonly debounceMs?: number | undefined;
  /** Hears of foreign writes that were merged and of rounds that failed; those are tried again. Default: nobody. */
  readonly onWarning?: ((warning: LegacyWarning) => void) | undefined;
}

export interface MirrorState {
  /** The file has every commit up to this revision; 0 before the first round. */
  readonly revision: number;
  /** Files that this mirror wrote. */
  readonly written: number;
  /** Files of somebody else's that it merged into the store. */
  readonly merged: number;
  /** Sessions that the store could not read when the file was last written: it has older copies of them, or none. */
  readonly damaged: number;
}

/** A running mirror. Its timers do not keep the process alive. */
export interface Mirror {
  /** The file that is kept in step. */
  readonly path: string;
  readonly state: MirrorState;
  /**
   * Resolves when the file has every commit that was made before this call.
   * @throws What stands in the way: `legacy_invalid` for a foreign file that cannot be read, `disk_full`, ….
   */
  flush(): Promise<MirrorState>;
  /** Writes once more if need be, and lets go of everything. May be called twice. Never throws; see `onWarning`. */
  stop(): Promise<void>;
}

const DEBOUNCE_MS = 5000;
const ROUNDS_MAX = 20;

/**
 * Starts a mirror in the background.
 * @param target `…/NAME.json` or `…/NAME.d`; the store must exist.
 * @throws `TypeError` for a wrong argument; `store_not_found` and whatever opening a store throws.
 * @example
 * const mirror = await startMirror("/home/gateway/.openclaw/agents/main/sessions/sessions.json");
 * process.once("beforeExit", () => void mirror.stop());
 */
export function startMirror(target: string, options: MirrorOptions = {}): Promise<Mirror> {
  return startMirrorOn(systemHost, target, options);
}

/** The same on a host of the caller's, for tests. */
export async function startMirrorOn(
  host: LegacyHost,
  target: string,
  options: MirrorOptions = {},
): Promise<Mirror> {
  const work = new LegacyWork(host, target, options);
  try {
    work.assertPlace();
    return await startOn(work, options);
  } catch (error) {
    throw asStoreError(error, `mirror ${work.paths.directory}`);
  }
}

async function startOn(work: LegacyWork, options: MirrorOptions): Promise<Mirror> {
  const { host, paths } = work;
  const { directory } = paths;
  if (!(await isStore(host, directory))) {
    throw new SessionStoreError(
      "store_not_found",
      `there is no session store at ${directory} to mirror. Run: ${work.command("migrate")}`,
      { data: { path: directory } },
    );
  }
  const identity = await identityOf(host, directory);
  const damage = new DamageReports();
  const store = await work.openStore(directory, { onWarning: damage.onWarning });
  const mirror = new RunningMirror(work, options, store, damage, identity);
  mirror.start();
  return mirror;
}

class RunningMirror implements Mirror {
  readonly path: string;
  readonly #host: LegacyHost;
  #revision = 0;
  #written = 0;
  #merged = 0;
  #damaged = 0;
  /** What was last said of damaged sessions. */
  #damageTold: string | undefined;
  /** The file as it was when it was last known to be in step, so that it need not be hashed again. */
  #inStep: string | undefined;
  #timer: Timer | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  /** @param damage Hears from `store`. */
  constructor(
    private readonly work: LegacyWork,
    private readonly options: MirrorOptions,
    private readonly store: DirectorySessionStore<object>,
    private readonly damage: DamageReports,
    private readonly identity: string,
  ) {
    this.path = work.paths.file;
    this.#host = work.host;
  }

  get state(): MirrorState {
    return {
      revision: this.#revision,
      written: this.#written,
      merged: this.#merged,
      damaged: this.#damaged,
    };
  }

  start(): void {
    if (this.#stopping !== undefined) return;
    const { runtime } = this.#host;
    const debounce = this.options.debounceMs ?? DEBOUNCE_MS;
    // Not all processes at once: whoever is first does it for all.
    const timer = runtime.setTimer(
      () => void this.#inBackground().then(() => this.start()),
      debounce * (0.8 + 0.2 * runtime.random()),
    );
    this.#timer = timer;
  }

  async flush(): Promise<MirrorState> {
    if (this.#stopping !== undefined) throw new SessionStoreError("closed", "the mirror was stopped");
    await this.#enqueue().catch((error: unknown) => {
      throw this.#told(error);
    });
    return this.state;
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    this.#stopping ??= this.#inBackground()
      .then(() => this.store.close())
      .catch((error: unknown) => this.#complain(error));
    return this.#stopping;
  }

  #enqueue(): Promise<void> {
    const result = this.#queue.then(() => this.#bringInStep());
    this.#queue = result.catch(() => {});
    return result;
  }

  async #inBackground(): Promise<void> {
    try {
      await this.#enqueue();
    } catch (error) {
      this.#complain(error);
    }
  }

  /** A round may have merged what somebody else wrote before it failed. */
  #told(error: unknown): unknown {
    const doing = `bring ${this.path} in step`;
    const known = asStoreError(error, doing);
    if (!(known instanceof SessionStoreError)) return known;
    const { code, data, cause } = known;
    const message = messageOf(known, doing, `${this.work.paths.directory} is authoritative, as before.`);
    return new SessionStoreError(code, message, { data, cause });
  }

  #complain(thrown: unknown): void {
    const error = this.#told(thrown);
    const reason = error instanceof Error ? error.message : String(error);
    const data: ErrorData = error instanceof SessionStoreError ? { ...error.data, code: error.code } : {};
    const message = `${this.path} could not be brought in step and will be tried again: ${reason}`;
    this.options.onWarning?.({ code: "mirror_failed", message, data });
  }

  async #bringInStep(): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (await this.#round()) return;
      if (round > 2) await this.#host.runtime.sleep(10 * round * this.#host.runtime.random());
    }
    throw new SessionStoreError(
      "legacy_changing",
      `${this.path} was written by others ${ROUNDS_MAX} times while it was brought in step. What they wrote is in the store.`,
      { data: { path: this.path, attempts: ROUNDS_MAX } },
    );
  }

  /** @returns Whether the file is in step. */
  async #round(): Promise<boolean> {
    const { store } = this;
    const host = this.#host;
    const { paths } = this.work;
    await this.#assertStillThere(paths.directory);
    const expected = stampNow(host, this.path);
    const revision = await store.revision();
    const wanted = store.recordsRevisionSync();
    if (expected === this.#inStep && this.#revision >= wanted) return this.#settle(expected, revision);
    const known = await KnownFiles.load(host, paths.directory);
    if (expected !== "none" && expected !== this.#inStep) {
      const found = await this.#look(known);
      if (found === undefined || stampNow(host, this.path) !== expected) return false; // merged, or just being written
      if (found.complete && found.revision >= wanted)
        return this.#settle(expected, Math.max(revision, found.revision));
    }
    const written = await this.#write(expected);
    if (written === undefined) return false;
    this.#written++;
    return this.#settle(written.stamp, written.revision);
  }

  /** @param revision The file has every record up to this one. */
  #settle(stamp: string, revision: number): true {
    this.#inStep = stamp;
    this.#revision = revision;
    return true;
  }

  /** @returns The record of the file that is there; undefined if there was none and it has been merged. */
  async #look(known: KnownFiles): Promise<KnownFile | undefined> {
    const { work } = this;
    const status = await statusOf(this.#host.fs, this.path);
    if (status === undefined) return undefined;
    if (status.kind !== "file") throw notAFile(this.path, status.kind);
    const { bytes, sha256 } = await hashFile(this.#host, this.path);
    const found = known.find(bytes, sha256);
    if (found !== undefined) return found;
    // Since `known` was loaded, another mirror may have written it.
    const again = (await KnownFiles.load(this.#host, work.paths.directory)).find(bytes, sha256);
    if (again !== undefined) return again;
    const { directory } = work.paths;
    const keep = (tally: Tally): Promise<void> => this.#keepRefused(tally);
    const { warnings } = await mergeForeign(work, this.store, directory, known, this.path, keep);
    this.#merged++;
    for (const warning of warnings) this.options.onWarning?.(warning);
    return undefined;
  }

  /** What the store cannot have is in the file alone, and that is about to be written anew: it gets a second name. */
  async #keepRefused({ counts: { refused }, refusals }: Tally): Promise<void> {
    if (refused === 0) return;
    const { backup, made } = await linkBackup(this.work, this.path);
    if (!made) return; // a round that failed behind this has said so
    const [example] = refusals;
    this.options.onWarning?.({
      code: "entries_refused",
      message: `${entriesOf(refused)} of ${this.path} had to be refused (${example?.message}). They are in the backup ${backup}.`,
      data: { path: this.path, refused, backup },
    });
  }

  /** @returns Undefined when others were faster. */
  async #write(expected: string): Promise<{ revision: number; stamp: string } | undefined> {
    const { work, store, damage } = this;
    const { host, paths } = work;
    const revision = await store.revision();
    const temporary = paths.writing(host.runtime, revision);
    const fd = await host.fs.later.open(temporary, "create");
    try {
      await this.#assertStillThere(paths.directory);
      const known = await KnownFiles.load(host, paths.directory);
      const file = { path: temporary, fd };
      const { record, damaged, copies } = await writeLegacyFile(work, store, damage, known, file);
      await recordKnownFile(host, paths.directory, { ...record, revision });
      await this.#removeOlder(revision);
      const stamp = stampNow(host, temporary); // afterwards, what has the name may be somebody else's
      if (!(await replaceLegacyFile(host, paths, temporary, expected))) return undefined;
      this.#damaged = damaged.length;
      this.#tellDamage(describeDamage(work, damaged, copies).warnings[0]);
      return { revision, stamp };
    } catch (error) {
      if (stampNow(host, temporary) === "none") return undefined; // taken away: others are ahead
      throw error;
    } finally {
      host.fs.close(fd);
      await host.fs.later.unlink(temporary).catch(() => {}); // renamed by now, or not needed
    }
  }

  /** Once, as long as nothing else is to be said. */
  #tellDamage(warning: LegacyWarning | undefined): void {
    if (warning?.message !== this.#damageTold && warning !== undefined) this.options.onWarning?.(warning);
    this.#damageTold = warning?.message;
  }

  /** After a rollback the directory is elsewhere, and its file is not ours to write. */
  async #assertStillThere(directory: string): Promise<void> {
    if ((await identityOf(this.#host, directory)) === this.identity) return;
    throw new SessionStoreError(
      "store_not_found",
      `${directory} is no longer the store that is mirrored: it was rolled back or moved. Stop this mirror.`,
      { data: { path: directory } },
    );
  }

  async #removeOlder(revision: number): Promise<void> {
    const { paths } = this.work;
    for (const name of await namesIn(this.#host.fs, paths.folder)) {
      const other = paths.writingRevision(name);
      if (other === undefined || other >= revision) continue;
      await ignoreMissing(this.#host.fs.later.unlink(`${paths.folder}/${name}`));
    }
  }
}

async function identityOf(host: LegacyHost, directory: string): Promise<string> {
  const status = await statusOf(host.fs, `${directory}/${STORE_FOLDER}`);
  return status === undefined ? "none" : `${status.device} ${status.inode}`;
}
