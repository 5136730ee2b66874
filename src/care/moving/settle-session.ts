/**
 * Decides what becomes of one session that comes in, and does it: in a transaction if all of it fits into one commit, else step by
 * step, transcripts first and the record last.
 *
 * So what a kill leaves of a large session is transcripts that are a beginning of what comes in, without the record or beside the old
 * one. The next run finds that beginning and goes on behind it, whatever `onConflict` says.
 */
import { isSessionDamaged, SessionStoreError } from "../../errors.js";
import { equalJson } from "../../format/equal-json.js";
import type { SessionRecord } from "../../store/types.js";
import type { TransactionTranscripts } from "../../store/transcript-types.js";
import { TranscriptSync, type NewItem, type Stance, type TranscriptCalls } from "./transcript-sync.js";

/** What is done with a session that is there, and is not what comes in. */
export type OnConflict = "fail" | "skip" | "replace" | "newer";

/**
 *  - `created`: it was not there, or was begun by an import that was stopped
 *  - `replaced`
 *  - `unchanged`: it is there, and the same
 *  - `skipped`: it is there, and stays
 *  - `conflict`: it is there, and `onConflict` is `fail`; only a dry run goes on behind it
 */
export type Outcome = "created" | "replaced" | "unchanged" | "skipped" | "conflict";

export interface NewSession {
  readonly key: string;
  readonly entry: object | undefined;
  /** Names of the transcripts, in the order in which they come. */
  readonly names: readonly string[];
}

/** What settling needs of a store or a transaction. */
export interface Target extends TranscriptCalls, Pick<TransactionTranscripts, "transcripts"> {
  read(key: string): Promise<SessionRecord<object> | undefined>;
  put(key: string, entry: object): Promise<unknown>;
}

export interface Settled {
  readonly outcome: Outcome;
  /** Items that were appended. */
  readonly appended: number;
}

/** Transcript after transcript, each with its items. */
export type Incoming = AsyncIterable<{ readonly name: string; readonly items: AsyncIterable<NewItem> }>;

export interface SettleOptions {
  readonly onConflict: OnConflict;
  readonly dryRun: boolean;
  /** Puts the record, on the condition that the session still has this revision. Default: `target.put`. */
  readonly put?: (entry: object, revision: number) => Promise<void>;
}

/** @param incoming Not touched if the session stays as it is. */
export async function settle(
  target: Target,
  { key, entry, names }: NewSession,
  incoming: Incoming,
  { onConflict, dryRun, put }: SettleOptions,
): Promise<Settled> {
  const record = await readUnlessDamaged(target, key, onConflict);
  if (record === "damaged" && onConflict === "skip") return { outcome: "skipped", appended: 0 };
  const there = await target.transcripts(key);
  const stance = stanceOf(record, entry, onConflict);
  if (stance === undefined) return { outcome: "skipped", appended: 0 };
  const existed = record !== undefined || (stance === "replace" && there.length > 0);
  let appended = 0;
  let changed = false;
  const refused: Settled = { outcome: onConflict === "skip" ? "skipped" : "conflict", appended: 0 };
  const others = there.filter((name) => !names.includes(name));
  if (others.length > 0 && stance !== "replace") return refused;
  if (stance === "compare" && (record === "damaged" || !isSameEntry(record?.entry, entry))) return refused;
  for await (const { name, items } of incoming) {
    const sync = new TranscriptSync(target, key, name, stance, dryRun);
    for await (const item of items) {
      await sync.add(item);
      if (sync.differs) return refused;
    }
    await sync.end();
    if (sync.differs) return refused;
    appended += sync.appended;
    changed ||= sync.changed;
  }
  for (const transcript of others) {
    changed = true;
    if (!dryRun) await target.removeTranscript(key, { transcript });
  }
  const isSame = record !== "damaged" && isSameEntry(record?.entry, entry);
  if (entry !== undefined && !isSame) {
    changed = true;
    const revision = record === "damaged" ? undefined : (record?.revision ?? 0);
    if (!dryRun)
      await (put === undefined || revision === undefined ? target.put(key, entry) : put(entry, revision));
  }
  return { outcome: changed ? (existed ? "replaced" : "created") : "unchanged", appended };
}

/** What may be done to the session; undefined: it stays as it is. */
function stanceOf(
  record: SessionRecord<object> | "damaged" | undefined,
  entry: object | undefined,
  onConflict: OnConflict,
): Stance | undefined {
  if (onConflict === "replace" || record === "damaged") return "replace";
  if (record === undefined) return onConflict === "newer" && entry !== undefined ? "replace" : "continue";
  if (onConflict === "fail") return "compare";
  const wins = onConflict === "newer" && updatedAtOf(entry) > updatedAtOf(record.entry);
  return wins ? "replace" : undefined;
}

/** As listings have it. */
function updatedAtOf(entry: object | undefined): number {
  const value: unknown =
    entry !== undefined && Object.hasOwn(entry, "updatedAt") && (entry as { updatedAt: unknown }).updatedAt;
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

async function readUnlessDamaged(
  target: Target,
  key: string,
  onConflict: OnConflict,
): Promise<SessionRecord<object> | "damaged" | undefined> {
  try {
    return await target.read(key);
  } catch (error) {
    const isKnown = onConflict === "replace" || onConflict === "skip";
    if (isKnown && isSessionDamaged(error)) return "damaged";
    throw error;
  }
}

/** A session that comes without a record says nothing about the one that is there. */
function isSameEntry(there: object | undefined, entry: object | undefined): boolean {
  return entry === undefined || (there !== undefined && equalJson(there, entry));
}

/** Refuses a session that is there. */
export function sessionExists(key: string, what: string): SessionStoreError {
  return new SessionStoreError("session_exists", `session ${JSON.stringify(key)} ${what}`, { data: { key } });
}
