/**
 * Carries out a plan: batch after batch, sessions are copied into the archive, and removed when they are there, durably and readable.
 *
 * Each session goes by a commit of its own that sees that it is what was archived, its transcripts too. What was changed since the plan
 * was made, or cannot be read, stays. Nothing that the plan keeps is touched. Killed at any instant, every session is in the store, in the archive,
 * or in both; a new plan goes on from there. Two processes may do this at once: whoever comes second finds that nothing is there any more.
 */
import { asStoreError, isSessionDamaged, SessionStoreError } from "../../errors.js";
import type { Trust } from "../../fs/trusted-path.js";
import { throwIfAborted } from "../../store/retry.js";
import type { SessionRecord } from "../../store/types.js";
import type { TransactionTranscripts } from "../../store/transcript-types.js";
import { Crowd } from "../moving/crowd.js";
import { exportWatched, type DamagedExport } from "../moving/export.js";
import type { AnyStore } from "../moving/options.js";
import { isStill, type SessionSnapshot } from "../moving/session-snapshot.js";
import { defaultArchive, makeArchive, makeFile, monthOf, type ArchiveFolder } from "./archive-folder.js";
import { ArchiveWriter } from "./archive-writer.js";
import { SYSTEM, told, Turns, type RetentionHost } from "./host.js";
import { stopped, type RetentionPlan } from "./plan.js";
import { recorded, type RetentionWarning } from "./record.js";

export interface ArchiveOptions {
  /** Default: beside the store, `NAME.archive` of `NAME.d`. A store that is no directory has no default. */
  readonly archive?: string | undefined;
  /** Who may change the folders that the archive lies in. Default "owner"; see `OpenOptions.trust`. */
  readonly trust?: Trust | undefined;
  /** Ends the work with the signal's reason, between two batches. */
  readonly signal?: AbortSignal | undefined;
  /** Hears of what stopped nothing. Default: `process.emitWarning`. */
  readonly onWarning?: ((warning: RetentionWarning) => void) | undefined;
}

export function warningsOf({ onWarning }: ArchiveOptions): (warning: RetentionWarning) => void {
  return onWarning ?? (({ message, code }) => process.emitWarning(message, { code }));
}

export interface ApplyOptions extends ArchiveOptions {
  /** What the store is called in the archive, for people. Default: nothing. */
  readonly name?: string | undefined;
  /** Hears after every batch how many sessions of the plan are dealt with. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

export interface RetentionReport {
  /** Sessions that the plan removes. */
  readonly planned: number;
  /** They were here, and are in the archive. */
  readonly removed: number;
  /** They were changed since the plan was made, and stay. */
  readonly changed: number;
  /** Somebody else has removed them. */
  readonly gone: number;
  /** They cannot be read, and stay. */
  readonly damaged: readonly DamagedExport[];
  /** The file that they are in; undefined: nothing was removed. */
  readonly archive: string | undefined;
  /** Of that file. */
  readonly archivedBytes: number;
}

/** Few enough that Ctrl-C is answered soon and little is done twice after a kill; enough that they share the syncs. */
const BATCH_SESSIONS = 128;
/** Sessions in a transaction each, at a time; the crowd bounds them too. */
const SMALL = 1;

/**
 * Archives and removes what a plan says.
 * @throws `retention_stopped`, with nothing removed, for a plan that may not be carried out; `TypeError` for one whose mode is not `enforce` or that is of another store, and where
 *   it has to be said where the archive is; `archive_place`, `path_untrusted`, `archive_damaged`, `disk_full`, `io_error`: what was not archived is still in the
 *   store; what reading and writing throws.
 * @example
 * const plan = await planRetention(store, readPolicyFile("retention.json"));
 * const { removed, archive } = await applyRetention(store, plan);
 */
export function applyRetention(
  store: AnyStore,
  plan: RetentionPlan,
  options?: ApplyOptions,
): Promise<RetentionReport> {
  return applyRetentionOn(SYSTEM, store, plan, options);
}

/** The same on a machine of the caller's, for tests. */
export async function applyRetentionOn(
  host: RetentionHost,
  store: AnyStore,
  plan: RetentionPlan,
  options: ApplyOptions = {},
): Promise<RetentionReport> {
  if (plan.mode !== "enforce")
    throw new TypeError(`a plan of the mode ${plan.mode} removes nothing: the policy must say "enforce"`);
  return told("archive sessions", () => apply(host, store, plan, options));
}

async function apply(
  host: RetentionHost,
  store: AnyStore,
  plan: RetentionPlan,
  options: ApplyOptions,
): Promise<RetentionReport> {
  if ((await store.stats()).directory?.storeId !== plan.storeId)
    throw new TypeError("the plan was made for another store: make one for this");
  const { removed: planned, sessions, stop } = plan;
  return recorded(host, store, "prune", warningsOf(options), { planned, sessions }, async (tell) => {
    if (stop !== undefined) throw stopped(stop, planned, sessions);
    const work = new RemovalWork(host, store, plan, options);
    try {
      return await work.run();
    } catch (error) {
      throw asFarAs(asStoreError(error, "archive sessions"), work.report());
    } finally {
      const { removed, changed, gone, archive = "" } = work.report();
      tell({ removed, changed, gone, archive });
    }
  });
}

class RemovalWork {
  readonly #damaged: DamagedExport[] = [];
  #removed = 0;
  #changed = 0;
  #gone = 0;
  #writer: ArchiveWriter | undefined;

  constructor(
    private readonly host: RetentionHost,
    private readonly store: AnyStore,
    private readonly plan: RetentionPlan,
    private readonly options: ApplyOptions,
  ) {}

  report(): RetentionReport {
    const writer = this.#writer;
    return {
      planned: this.plan.removed,
      removed: this.#removed,
      changed: this.#changed,
      gone: this.#gone,
      damaged: this.#damaged,
      archive: writer === undefined || writer.bytes === 0 ? undefined : writer.path,
      archivedBytes: writer?.bytes ?? 0,
    };
  }

  async run(): Promise<RetentionReport> {
    const { signal, onProgress } = this.options;
    const { removed: total } = this.plan;
    let done = 0;
    try {
      let batch = new Map<string, number>();
      const next = async (): Promise<void> => {
        throwIfAborted(signal);
        await this.#batch(batch);
        done += batch.size;
        batch = new Map();
        onProgress?.(done, total);
        await this.host.runtime.yieldToEventLoop();
      };
      for (const { key, revision } of this.plan.removals()) {
        batch.set(key, revision);
        if (batch.size === BATCH_SESSIONS) await next();
      }
      if (batch.size > 0) await next();
    } finally {
      await this.#writer?.close();
    }
    return this.report();
  }

  /** @param batch Keys, and the revisions that the plan saw. */
  async #batch(batch: ReadonlyMap<string, number>): Promise<void> {
    const writer = (this.#writer ??= await this.#makeWriter());
    const written = new Map<string, SessionSnapshot>();
    const turns = new Turns(this.host.runtime);
    const watcher = {
      accepts: async (snapshot: SessionSnapshot): Promise<boolean> => {
        await turns.give();
        return (await this.#isAsPlanned(snapshot, batch.get(snapshot.key))) || this.#leave();
      },
      written: (snapshot: SessionSnapshot): void => void written.set(snapshot.key, snapshot),
      now: () => this.host.runtime.now(),
    };
    const { name } = this.options;
    const text = exportWatched(this.store, { keys: [...batch.keys()], name }, watcher);
    const pieces = await unlessEmpty(this.#told(text), written);
    if (pieces !== undefined) await writer.add(pieces, () => [...written.keys()]);
    const crowd = new Crowd();
    for (const [key, snapshot] of written) {
      await crowd.add(key, SMALL, () => this.#remove(snapshot));
      await turns.give();
    }
    await crowd.settled();
    crowd.throwFailure();
  }

  /** The text, and what its report says in the end. */
  async *#told(text: ReturnType<typeof exportWatched>): AsyncGenerator<string, void> {
    const { damaged, missing } = yield* text;
    this.#damaged.push(...damaged);
    this.#gone += missing.length;
  }

  #leave(): false {
    this.#changed += 1;
    return false;
  }

  /** Whether nobody has written to the session since the plan was made, nor to one of its transcripts. */
  async #isAsPlanned(
    { key, record, transcripts }: SessionSnapshot,
    revision: number | undefined,
  ): Promise<boolean> {
    if (record?.revision !== revision) return false;
    const since = this.plan.revision;
    for (const [transcript, info] of transcripts) {
      if (info.revision > since || info.cut > since) return false;
      const { items } = await this.store.readItems(key, { transcript, backwards: true, limit: 1 });
      if ((items[0]?.revision ?? 0) > since) return false;
    }
    return true;
  }

  /** Removes what was archived, if that is still what there is. */
  async #remove(snapshot: SessionSnapshot): Promise<void> {
    try {
      await this.store.transact(async (tx) => {
        await assertUnchanged(tx, snapshot);
        await tx.delete(snapshot.key);
      });
      this.#removed += 1;
    } catch (error) {
      if (error instanceof Gone) this.#gone += 1;
      else if (error instanceof Changed || isSessionDamaged(error)) this.#changed += 1;
      else throw error;
    }
  }

  async #makeWriter(): Promise<ArchiveWriter> {
    const { host, store, plan } = this;
    const { directory } = await store.stats();
    const folder = await archiveToWrite(host, directory, this.options);
    const { fd, path } = await makeFile(host, folder, monthOf(plan.now));
    return new ArchiveWriter(host, fd, path);
  }
}

async function archiveToWrite(
  host: RetentionHost,
  directory: { readonly path: string; readonly storeId: string } | undefined,
  { archive, trust }: ArchiveOptions,
): Promise<ArchiveFolder> {
  if (directory === undefined)
    throw new TypeError("only a store in a directory has an archive; this one cannot be told from others");
  return makeArchive(
    host,
    archive ?? defaultArchive(directory.path),
    directory.storeId,
    directory.path,
    trust,
  );
}

/** @returns Undefined if there is not one session in it, so that nothing is written for nothing. */
async function unlessEmpty(
  text: AsyncGenerator<string, void>,
  written: ReadonlyMap<string, unknown>,
): Promise<AsyncGenerator<string, void> | undefined> {
  const first = await text.next();
  const second = await text.next();
  if (second.done === true && written.size === 0) return undefined;
  return (async function* () {
    if (first.done !== true) yield first.value;
    if (second.done !== true) yield second.value;
    yield* text;
  })();
}

/** A disk that is full, or broken, when some sessions have gone: what is said of one call is not all that there is to say. */
function asFarAs(error: unknown, { removed, planned, archive }: RetentionReport): unknown {
  const isDisk =
    error instanceof SessionStoreError && (error.code === "disk_full" || error.code === "io_error");
  if (!isDisk || removed === 0) return error;
  const { code, message, data, cause } = error;
  const [what = ""] = message.split(". ");
  const where = archive === undefined ? "" : ` to ${archive}`;
  return new SessionStoreError(
    code,
    `${what}. ${removed} of ${planned} sessions are archived${where} and removed, the others are in the store as they were: make room or ` +
      "mend the disk, or take another one (--archive), then run it again.",
    { data: { ...data, removed, planned }, cause },
  );
}

class Changed extends Error {}
class Gone extends Error {}

type View = TransactionTranscripts & { read(key: string): Promise<SessionRecord<object> | undefined> };

async function assertUnchanged(tx: View, { key, record, transcripts }: SessionSnapshot): Promise<void> {
  const now = await tx.read(key);
  const names = await tx.transcripts(key);
  if (now === undefined && names.length === 0) throw new Gone();
  if (now?.revision !== record?.revision || names.length !== transcripts.size) throw new Changed();
  for (const [name, before] of transcripts) {
    const found = await tx.transcript(key, name);
    if (!isStill(before, found) || found?.last !== before.last || found.length !== before.length)
      throw new Changed();
  }
}
