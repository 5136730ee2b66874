/**
 * Builds a store aside from a legacy source, reads it back, and compares it with a second reading of the source.
 *
 * The folder is made BEFORE the source is read for the first time. Whoever makes another side count (another migration,
 * a rollback) takes all building folders away afterwards, so a builder that was suspended meanwhile finds its own
 * gone, and can never bring back what it read before.
 *
 * The second reading must have the fingerprint of the first one, or everything is thrown away and built again: a source
 * that is written in place is read until it holds still. Then each of its entries is parsed anew and compared, field by
 * field and in order, with what the new store gives when it is opened and read like any other.
 *
 * A crash leaves the building folder, which is not a store to anybody, and is removed by the next migration.
 */
import { plural } from "../../plural.js";
import { asStoreError, SessionStoreError } from "../../errors.js";
import { statusOf } from "../../fs/status.js";
import type { DirectorySessionStore } from "../../store/types.js";
import { checkEntry, isTooMuchTogether, refusalOf } from "../reading/check-entry.js";
import { assertSessions } from "../run/resemblance.js";
import { syncTree, withoutSync } from "../base/tree.js";
import { EntryComparison } from "../reading/equality.js";
import { recordKnownFile } from "../merging/known-files.js";
import type { LegacyEntry } from "../reading/read-file.js";
import type { LegacySource, SourceReading } from "../reading/source.js";
import { SharedValues } from "../reading/shared-values.js";
import { removeBuilding } from "../run/leftovers.js";
import { Intake, readSource, whileChanging, type Winner } from "../run/checked-source.js";
import { withWarnings, type Tally } from "../base/tally.js";
import type { LegacyWork } from "../run/work.js";

/** What a migration takes from its source. */
export interface SourceRead {
  readonly reading: SourceReading;
  readonly tally: Tally;
}

export interface BuiltStore extends SourceRead {
  readonly path: string;
}

/** Of text that is new to the store and committed together; bounds memory, the record in the log, and the event loop's waiting. */
const BATCH_BYTES = 1024 * 1024;
const BATCH_ENTRIES = 32;

/** @throws `legacy_invalid`, `legacy_changing`, `legacy_mismatch`, and what a store throws; nothing is left behind then. */
export function buildAside(work: LegacyWork, source: LegacySource): Promise<BuiltStore> {
  return whileChanging(work, source, async () => {
    const path = work.paths.building(work.host.runtime);
    await work.host.fs.later.mkdir(path);
    try {
      const intake = new Intake();
      const reading = await fill(work, source, path, intake);
      assertSessions(work, source.path, intake);
      if (intake.winners.size > 0) {
        const digests = await verify(work, source, path, { reading, winners: intake.winners });
        if (digests === undefined) return await removeBuilding(work, path);
        await record(work, path, reading, digests);
        await syncTree(
          work.host,
          path,
          (done, total) => work.progress("syncing", done, total, done),
          work.signal,
        );
      }
      return { path, reading, tally: tallyOf(source, reading, intake) };
    } catch (error) {
      const taken = (await statusOf(work.host.fs, path)) === undefined;
      // On a full disk its room is needed most. If this fails too, the next migration removes it.
      await removeBuilding(work, path).catch(() => {});
      throw taken ? takenAway(path, error) : withoutDoubt(error);
    }
  });
}

/** Whether a commit counts is no question for a store that nobody sees: only the cause is of interest. */
function withoutDoubt(error: unknown): unknown {
  const doubtful = error instanceof SessionStoreError && DOUBTS.has(error.code) && error.cause !== undefined;
  return doubtful ? asStoreError(error.cause, "build the store aside") : error;
}

/** Whatever was found wrong with it: somebody was removing it. */
function takenAway(path: string, cause: unknown): SessionStoreError {
  const message = `${path} was taken away by another process that has changed which side is authoritative. Look again.`;
  return new SessionStoreError("store_not_found", message, { data: { path }, cause });
}

const DOUBTS: ReadonlySet<string> = new Set(["commit_unknown", "durability_unknown"]);

interface Pending {
  readonly key: string;
  readonly entry: object;
  readonly from: LegacyEntry;
  readonly prior: Winner | undefined;
}

/** Of a source whose winners are all that is kept. */
export function tallyOf(source: LegacySource, { warnings }: SourceReading, intake: Intake): Tally {
  const tally = intake.tally({ kept: intake.winners.size, unchanged: 0 }, warnings);
  const { merged } = tally.counts;
  if (merged === 0) return tally;
  const message = `${source.path} has a session more than once: ${plural(merged, "older version")} gave way to a newer one.`;
  const data = { path: source.path, merged };
  return withWarnings(tally, [{ code: "duplicate_keys", message, data }]);
}

async function fill(
  work: LegacyWork,
  source: LegacySource,
  path: string,
  intake: Intake,
): Promise<SourceReading> {
  const store = await work.openStore(
    path,
    { create: true, durability: "os", flushDelayMs: 3_600_000 },
    withoutSync(work.host),
  );
  try {
    let pending: Pending[] = [];
    let bytes = 0;
    const commit = async (): Promise<void> => {
      const batch = pending;
      pending = [];
      bytes = 0;
      await commitBatch(store, batch, intake);
    };
    const reading = await readSource(work, source, intake, {
      phase: "reading",
      onKept: (key, entry, from, prior) => {
        pending.push({ key, entry, from, prior });
        bytes += from.newBytes;
      },
      afterPiece: () => (bytes >= BATCH_BYTES || pending.length >= BATCH_ENTRIES ? commit() : undefined),
    });
    await commit();
    work.throwIfAborted();
    if (intake.winners.size > 0) await store.checkpoint();
    return reading;
  } finally {
    await store.close();
  }
}

/** Commits entries together; one that the store does not take is refused, and the others are committed without it. */
async function commitBatch(
  store: DirectorySessionStore<object>,
  batch: Pending[],
  intake: Intake,
): Promise<void> {
  while (batch.length > 0) {
    try {
      await store.transact(async (tx) => {
        for (const { key, entry } of batch) await tx.put(key, entry);
      });
      break;
    } catch (error) {
      if (isTooMuchTogether(error) && batch.length > 1) {
        await commitBatch(store, batch.splice(0, Math.ceil(batch.length / 2)), intake);
        continue;
      }
      const refusal = refusalOf(error, batch.length === 1 ? batch[0]?.key : undefined);
      const index = batch.findLastIndex(({ key }) => key === refusal?.key);
      const [refused] = index < 0 ? [] : batch.splice(index, 1);
      if (refusal === undefined || refused === undefined) throw error;
      // The older version, if there is one, is in the store or in this batch.
      intake.refuseWinner(refused.key, refused.prior, { ...refusal, key: refused.from.key });
    }
  }
  adopt(store, batch);
}

/** What the store made of a shared value is what it recognises at once in the next session. */
function adopt(store: DirectorySessionStore<object>, batch: readonly Pending[]): void {
  // Of two versions in one batch the store has the later one.
  const latest = new Map(batch.map((pending) => [pending.key, pending.from]));
  for (const [key, { firsts }] of latest) {
    if (firsts.length === 0) continue;
    const entry = store.getSync(key);
    for (const { shared, path } of firsts) {
      let value: unknown = entry;
      // Of a name that is there twice the last one counts: then something else may stand there, or nothing.
      for (const name of path) value = (value as Record<string, unknown> | null | undefined)?.[name];
      if (typeof value === "object" && value !== null) shared.value = value;
    }
  }
}

type Digests = (readonly [key: string, digest: string])[];

/** @returns Undefined when the source has changed meanwhile. */
async function verify(
  work: LegacyWork,
  source: LegacySource,
  path: string,
  { reading, winners }: { readonly reading: SourceReading; readonly winners: ReadonlyMap<string, Winner> },
): Promise<Digests | undefined> {
  const store = await work.openStore(path, { readOnly: true });
  const comparison = new EntryComparison();
  const digests: Digests = [];
  let mismatch: SessionStoreError | undefined;
  try {
    const again = await source.read({
      levelsMax: work.rules.limits.depthMax,
      shared: new SharedValues(),
      signal: work.signal,
      onEntry: (from) => {
        if (mismatch !== undefined) return;
        const checked = checkEntry(from, work.rules);
        if (!checked.ok || winners.get(checked.key)?.ordinal !== from.ordinal) return;
        const { key, entry } = checked;
        const difference = comparison.difference(entry, store.getSync(key));
        if (difference !== undefined) mismatch = mismatchError(source.path, key, difference);
        else digests.push([key, comparison.digest(entry)]);
      },
      afterPiece: (done, total) => work.progress("verifying", done, total, digests.length),
    });
    if (again.sha256 !== reading.sha256 || again.bytes !== reading.bytes) return undefined;
    if (mismatch !== undefined) throw mismatch;
    const sessions = await store.count();
    if (digests.length === winners.size && sessions === winners.size) return digests;
    throw mismatchError(
      source.path,
      undefined,
      `${plural(winners.size, "session")} read, ${sessions} in the store`,
    );
  } finally {
    await store.close();
  }
}

async function record(
  work: LegacyWork,
  path: string,
  reading: SourceReading,
  entries: Digests,
): Promise<void> {
  const { host } = work;
  const revision = await work.peek(path, (store) => store.revision());
  const { bytes, sha256 } = reading.file ?? reading;
  const recordedAt = host.runtime.now();
  await recordKnownFile(host, path, {
    revision,
    bytes,
    sha256,
    complete: true,
    recordedAt,
    entries,
    gone: [],
  });
}

function mismatchError(path: string, key: string | undefined, what: string): SessionStoreError {
  const where = key === undefined ? what : `session ${JSON.stringify(key)} differs at ${what}`;
  return new SessionStoreError(
    "legacy_mismatch",
    `the store that was built from ${path} is not what was read: ${where}. It was thrown away. Check the disk; if it is ` +
      "sound, please report this.",
    { data: key === undefined ? { path } : { path, key, field: what } },
  );
}
