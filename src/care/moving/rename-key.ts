/**
 * Gives a session another key: its record and all its transcripts.
 *
 * A store has no such operation: the session is copied, and the old one deleted in the commit that makes the new record. What fits into one
 * commit is one transaction. Of a larger one the transcripts are copied first, in batches, then a transaction sees that nothing was
 * changed meanwhile, puts the new record and deletes the old session. Killed anywhere before that, the old session is whole, and the same
 * call goes on behind what was copied.
 */
import { SessionStoreError } from "../../errors.js";
import { throwIfAborted } from "../../store/retry.js";
import { DEFAULT_LIMITS } from "../../format/limits.js";
import { assertSessionKey } from "../../format/session-key.js";
import type { SessionRecord } from "../../store/types.js";
import type { TransactionTranscripts, TranscriptInfo } from "../../store/transcript-types.js";
import type { AnyStore } from "./options.js";
import { isStill, takeSnapshot, type SessionSnapshot } from "./session-snapshot.js";
import { sessionExists } from "./settle-session.js";
import { BATCH_BYTES_MAX, BATCH_ITEMS_MAX, TranscriptSync, type NewItem } from "./transcript-sync.js";

export interface RenameOptions {
  /** Replaces a session that has the new key. Default false: that is `session_exists`. */
  readonly replace?: boolean | undefined;
  /** Nothing is written. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Ends the work with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface RenameReport {
  readonly from: string;
  readonly to: string;
  readonly dryRun: boolean;
  /** Names of the transcripts that came along. */
  readonly transcripts: readonly string[];
  /** Their items. */
  readonly items: number;
  /** There was a session with the new key, and it is gone. */
  readonly replaced: boolean;
}

/** How often others may change the session while it is copied. */
const ATTEMPTS_MAX = 100;

/**
 * Renames a session. Readers see it under the one key or the other, never its record under both or neither. Its transcripts have new
 * numbers, from 1, and new times, as after an import.
 * @throws `TypeError` for two equal keys; `not_found` if there is no session `from`; `session_exists` if there is one `to`, or transcripts under that key
 *   that are not the beginning of such a copy; `conflict` if others change it all the time; what reading and writing throws.
 * @example
 * await renameKey(store, "agent:main:old", "agent:main:new");
 */
export async function renameKey(
  store: AnyStore,
  from: string,
  to: string,
  options: RenameOptions = {},
): Promise<RenameReport> {
  assertSessionKey(from, DEFAULT_LIMITS);
  assertSessionKey(to, DEFAULT_LIMITS);
  if (from === to) throw new TypeError(`the two keys are the same: ${JSON.stringify(from)}`);
  for (let attempt = 1; ; attempt++) {
    throwIfAborted(options.signal);
    // Each attempt that was overtaken has copied more.
    const snapshot = await takeSnapshot(store, from, options.signal);
    if (snapshot === undefined) throw notFound(from);
    const done = await renameOnce(store, snapshot, to, options);
    if (done !== undefined) return done;
    if (attempt === ATTEMPTS_MAX) throw alwaysChanged(from);
  }
}

/** @returns Undefined if one of the sessions was changed meanwhile: what was copied stays for the next attempt. */
async function renameOnce(
  store: AnyStore,
  snapshot: SessionSnapshot,
  to: string,
  { replace = false, dryRun = false, signal }: RenameOptions,
): Promise<RenameReport | undefined> {
  const { key: from, record, transcripts } = snapshot;
  const there = await takeSnapshot(store, to, signal);
  const replaced = there !== undefined && !(await isBeginning(store, snapshot, there));
  if (replaced && !replace) throw existsUnder(to);
  const items = [...transcripts.values()].reduce((sum, { length }) => sum + length, 0);
  const report = { from, to, dryRun, transcripts: [...transcripts.keys()], items, replaced };
  if (dryRun) return report;
  const held = await readSmall(store, snapshot);
  const inSteps = held === undefined;
  // The old session is whole until the end. (A deleted record's transcripts cannot be begun again in one commit without another record.)
  if (replaced && (inSteps || record === undefined)) {
    await store.delete(to, { signal });
    return renameOnce(store, snapshot, to, { replace, signal }).then((done) => done && { ...done, replaced });
  }
  if (inSteps)
    for (const [name, { last }] of transcripts)
      if (!(await copy(store, from, to, name, last, signal))) throw existsUnder(to);
  try {
    await store.transact(
      async (tx) => {
        await assertUnchanged(tx, from, snapshot);
        if (held === undefined) {
          await assertCopied(tx, to, snapshot);
        } else {
          await assertUnchanged(tx, to, there);
          if (there !== undefined) await tx.delete(to);
          for (const [transcript, all] of held) {
            const ids = all.map(({ id }) => id);
            await tx.append(
              to,
              all.map(({ item }) => item),
              { transcript, ids },
            );
          }
        }
        if (record !== undefined) await tx.put(to, record.entry);
        await tx.delete(from);
      },
      { signal },
    );
  } catch (error) {
    if (error instanceof Changed) return undefined;
    throw error;
  }
  return report;
}

type View = TransactionTranscripts & { read(key: string): Promise<SessionRecord<object> | undefined> };

async function assertUnchanged(tx: View, key: string, then: SessionSnapshot | undefined): Promise<void> {
  const now = await tx.read(key);
  if (now?.revision !== then?.record?.revision) throw new Changed();
  const transcripts = then?.transcripts ?? new Map<string, TranscriptInfo>();
  if ((await tx.transcripts(key)).length !== transcripts.size) throw new Changed();
  for (const [name, before] of transcripts) {
    const found = await tx.transcript(key, name);
    if (!isStill(before, found) || found?.last !== before.last || found.length !== before.length)
      throw new Changed();
  }
}

async function assertCopied(tx: View, to: string, { transcripts }: SessionSnapshot): Promise<void> {
  if ((await tx.read(to)) !== undefined) throw new Changed();
  for (const name of new Set([...(await tx.transcripts(to)), ...transcripts.keys()]))
    if ((await tx.transcript(to, name))?.length !== (transcripts.get(name)?.length || undefined))
      throw new Changed();
}

class Changed extends Error {}

/** Whether it is what an earlier call, which was killed, has copied: that is no session yet. */
async function isBeginning(
  store: AnyStore,
  { key: from, transcripts }: SessionSnapshot,
  there: SessionSnapshot,
): Promise<boolean> {
  if (there.record !== undefined) return false;
  for (const [transcript, { length }] of there.transcripts) {
    if (length > (transcripts.get(transcript)?.length ?? 0)) return false;
    const sync = new TranscriptSync(store, from, transcript, "compare", true);
    for await (const { item, id } of store.iterateItems(there.key, { transcript })) {
      await sync.add({ item, id, bytes: 0 });
      if (sync.differs) return false;
    }
  }
  return true;
}

/** All items, if they fit into one commit. */
async function readSmall(
  store: AnyStore,
  { key, transcripts }: SessionSnapshot,
): Promise<ReadonlyMap<string, readonly NewItem[]> | undefined> {
  const count = [...transcripts.values()].reduce((sum, { length }) => sum + length, 0);
  if (count > BATCH_ITEMS_MAX) return undefined;
  const all = new Map<string, NewItem[]>();
  let bytes = 0;
  for (const [transcript, { last }] of transcripts) {
    const items: NewItem[] = [];
    all.set(transcript, items);
    for await (const { item, id } of store.iterateItems(key, { transcript, to: last, pageItems: 100 })) {
      const size = JSON.stringify(item).length;
      bytes += size;
      if (bytes > BATCH_BYTES_MAX) return undefined;
      items.push({ item, id, bytes: size });
    }
  }
  return all;
}

/** @returns False if there is something else under the new key. */
async function copy(
  store: TransactionTranscripts & Pick<AnyStore, "iterateItems">,
  from: string,
  to: string,
  transcript: string,
  last: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const sync = new TranscriptSync(store, to, transcript, "continue", false);
  for await (const { item, id } of store.iterateItems(from, { transcript, to: last, signal })) {
    await sync.add({ item, id, bytes: JSON.stringify(item).length });
    if (sync.differs) return false;
  }
  await sync.end();
  return !sync.differs;
}

function existsUnder(to: string): SessionStoreError {
  return sessionExists(
    to,
    "is there already. Nothing was renamed: choose another key, or say that it may be replaced.",
  );
}

function notFound(key: string): SessionStoreError {
  return new SessionStoreError(
    "not_found",
    `there is no session ${JSON.stringify(key)}. Nothing was renamed: check the key.`,
    {
      data: { key },
    },
  );
}

function alwaysChanged(key: string): SessionStoreError {
  return new SessionStoreError(
    "conflict",
    `session ${JSON.stringify(key)} was changed ${ATTEMPTS_MAX} times while it was renamed. It has its old key: stop what writes ` +
      "to it, and rename it again.",
    { data: { key } },
  );
}
