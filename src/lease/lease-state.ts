/**
 * How a lease is kept: two transcripts of a key of its own, so that it is in no listing of sessions and needs nothing
 * that a store does not have.
 *
 *   holder  an item for each time that somebody took it or gave it back; the newest one counts. The commit that appended it
 *           is the fencing token: commits of a store only grow, also where the lease was removed and made again.
 *   beat    an item for each time that the holder renewed it; only that there is a new one counts, no clock.
 *
 * A write that carries a token reads the end of `holder` in its own transaction, so it counts only if that is still
 * the end. To take a lease that is not given back reads both ends: a renewal that comes first makes that fail.
 */
import type { ProcessName } from "../fs/processes.js";
import type { TransactionTranscripts } from "../store/transcript-types.js";

export const HOLDER = "holder";
export const BEAT = "beat";
/** What somebody did to it lately can be read: `sessiondir transcript tail`. */
export const HOLDERS_KEPT = 100;
/** Of a holder that says nothing of it, or nothing that can be meant. */
const TTL_MS = 30_000;
const TTL_MS_MAX = 2 ** 31 - 1;

/** What stands in `holder`. */
export interface HolderItem {
  readonly owner: string;
  /** Present while it is held: so long it may go without being renewed, in milliseconds. */
  readonly ttlMs?: number;
  /** Tells two takings of the same owner apart. */
  readonly nonce?: string;
  /** The process that took it, where its system tells. */
  readonly process?: ProcessName;
  /** Why it was taken from somebody, or that it was given back. */
  readonly reason?: string;
}

/** A lease at one instant. */
export interface LeaseState {
  /** 0: nobody ever had it. */
  readonly token: number;
  /** When it was taken or given back, by the clock of whoever did it: milliseconds since 1970. */
  readonly time: number;
  readonly owner: string;
  /** Undefined: it is free. */
  readonly ttlMs: number | undefined;
  readonly nonce: string | undefined;
  readonly process: ProcessName | undefined;
  readonly reason: string | undefined;
  /** Another one: it was renewed, or made anew. */
  readonly beat: string;
}

/** Reads both ends; in a transaction, they are still the ends when it counts. */
export async function readLease(reader: TransactionTranscripts, key: string): Promise<LeaseState> {
  const holder = await readHolder(reader, key);
  const beat = await reader.transcript(key, BEAT);
  return { ...holder, beat: beat === undefined ? "" : `${beat.revision} ${beat.last}` };
}

/** The same without renewals: all that a write needs which carries a token. */
export async function readHolder(
  reader: TransactionTranscripts,
  key: string,
): Promise<Omit<LeaseState, "beat">> {
  const { items } = await reader.readItems(key, { transcript: HOLDER, backwards: true, limit: 1 });
  const [newest] = items;
  if (newest === undefined) {
    const nobody = { owner: "", ttlMs: undefined, nonce: undefined, process: undefined, reason: undefined };
    return { token: 0, time: 0, ...nobody };
  }
  return { token: newest.revision, time: newest.time, ...parseHolder(newest.item) };
}

/** Whether nothing was done to a lease between two looks. */
export function isSame(a: LeaseState, b: LeaseState): boolean {
  return a.token === b.token && a.beat === b.beat;
}

/** An item of a program that writes something else there is a holder that does not renew: the lease becomes free by itself. */
export function parseHolder(item: unknown): Omit<LeaseState, "token" | "time" | "beat"> {
  const fields = (typeof item === "object" && item !== null ? item : {}) as Record<string, unknown>;
  const { owner, ttlMs, nonce, process, reason } = fields;
  const isHolder = typeof owner === "string";
  const given = typeof ttlMs === "number" && ttlMs > 0 && ttlMs <= TTL_MS_MAX ? ttlMs : TTL_MS;
  return {
    owner: isHolder ? owner : "",
    ttlMs: isHolder && ttlMs === undefined ? undefined : given,
    nonce: typeof nonce === "string" ? nonce : undefined,
    process: parseProcess(process),
    reason: typeof reason === "string" ? reason : undefined,
  };
}

function parseProcess(value: unknown): ProcessName | undefined {
  const { pid, start, space } = (typeof value === "object" && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  if (typeof pid !== "number" || typeof start !== "number" || typeof space !== "string") return undefined;
  return { pid, start, space };
}
