/**
 * Big values that entries share. A field of an entry whose JSON is long is kept by its content, once for all sessions that have
 * it: the change in the log has `null` in its place, and beside that a list that says which fields are kept where. An update that
 * leaves the field as it is does not send it again.
 *
 * What is not used any more is removed by housekeeping, and never under a commit that is about to use it:
 *  1. A commit that uses a value says so in its own transaction (a row in `value_use`), and a use goes only with the change that
 *     it belongs to. The latest change of a session is never removed.
 *  2. So a commit needs nothing for values that the record has which it replaces: it holds the lock on the session's row and
 *     has compared its revision; until it commits that record is the latest, and from then on its own use counts.
 *  3. For any other value it locks the row of the value (`for key share`) before it writes that use. If there is no row, it
 *     stores the content, and locks; if the row is gone again by then, it begins anew.
 *  4. Housekeeping locks the rows of values without a use (`for update`, those that are free). Only then, in a statement of its own,
 *     which sees everything that was committed before, it looks for uses **again**, and removes what still has none. A commit that had
 *     its lock first is seen by then, or its value was left alone; one that comes later waits for the lock, and finds the row gone (3).
 */
import { createHash } from "node:crypto";
import { SessionStoreError } from "../../errors.js";
import { DEFAULT_LIMITS } from "../../format/limits.js";
import { freezeEntry } from "../../format/frozen-entry.js";
import { setField } from "../../format/stored-value.js";
import type { EngineRecord } from "../contract.js";
import type { Place } from "./place.js";
import { deepFreeze } from "./deep-freeze.js";
import type { Row, Sql } from "./sql.js";

/** A value that is kept by its content. */
export interface SharedValue {
  /** SHA-256 of its JSON. */
  readonly hash: string;
  /** Of its JSON. */
  readonly bytes: number;
}

/** The field of an entry, and what it is. */
export type SharedFields = ReadonlyMap<string, SharedValue>;

export interface Split {
  /** The entry with `null` for shared fields. */
  readonly json: string;
  readonly shared: SharedFields;
  /** Of the entry as a whole. */
  readonly bytes: number;
}

export const NOTHING_SHARED: SharedFields = new Map();
/** What a value is whose JSON was made or read before; values are deeply frozen. */
const known = new WeakMap<object, SharedValue>();
const ofRecords = new WeakMap<EngineRecord, SharedFields>();

/** The shared fields of a record that was read or written. */
export function sharedIn(record: EngineRecord | undefined): SharedFields {
  return (record && ofRecords.get(record)) ?? NOTHING_SHARED;
}

export function setShared(record: EngineRecord, shared: SharedFields): EngineRecord {
  if (shared.size > 0) ofRecords.set(record, shared);
  return record;
}

/** Of an entry that is what its JSON says, and deeply frozen. */
export function split(entry: object, thresholdBytes: number): Split {
  let shared: Map<string, SharedValue> | undefined;
  const parts: string[] = [];
  let apart = 0;
  for (const [name, value] of Object.entries(entry) as [string, unknown][]) {
    const before = typeof value === "object" && value !== null ? known.get(value) : undefined;
    let text = "null";
    let big = before !== undefined && before.bytes >= thresholdBytes ? before : undefined;
    if (big === undefined) {
      text = JSON.stringify(value);
      if (text.length >= thresholdBytes) {
        big = { hash: createHash("sha256").update(text).digest("hex"), bytes: Buffer.byteLength(text) };
        if (typeof value === "object" && value !== null) known.set(value, big);
        text = "null";
      }
    }
    if (big !== undefined) {
      (shared ??= new Map()).set(name, big);
      apart += big.bytes - text.length;
    }
    parts.push(`${JSON.stringify(name)}:${text}`);
  }
  const json = `{${parts.join(",")}}`;
  return { json, shared: shared ?? NOTHING_SHARED, bytes: Buffer.byteLength(json) + apart };
}

/** As the log has it; null: no field is shared. */
export function refsOf(shared: SharedFields): string | null {
  return shared.size === 0
    ? null
    : JSON.stringify([...shared].map(([name, { hash, bytes }]) => [name, hash, bytes]));
}

export function sharedOf(refs: Row[string] | undefined): SharedFields {
  if (typeof refs !== "string") return NOTHING_SHARED;
  const listed = JSON.parse(refs) as [string, string, number][];
  return new Map(listed.map(([name, hash, bytes]) => [name, { hash, bytes }]));
}

/** @throws `entry_corrupt` if a value is not there. */
export function joined(
  json: string,
  shared: SharedFields,
  valueOf: (hash: string) => unknown,
  key: string,
): object {
  const entry = JSON.parse(json) as Record<string, unknown>;
  for (const [name, { hash }] of shared) {
    const value = valueOf(hash);
    if (value === undefined) throw missing(hash, key);
    setField(entry, name, value);
  }
  return deepFreeze(entry);
}

/** Bytes of values that are read at once, unless the first has more. */
const BYTES_MAX = 16 * 1024 * 1024;

/** Rows of the log, in portions whose values have no more than that many bytes, unless the first row alone has more. */
export function* portionsOf(rows: readonly Row[]): Generator<readonly Row[]> {
  let from = 0;
  let bytes = 0;
  for (const [index, { refs }] of rows.entries()) {
    const own = [...sharedOf(refs).values()].reduce((sum, value) => sum + value.bytes, 0);
    if (index > from && bytes + own > BYTES_MAX) {
      yield rows.slice(from, index);
      [from, bytes] = [index, 0];
    }
    bytes += own;
  }
  if (from < rows.length) yield rows.slice(from);
}

/**
 * The values that these rows of the log need, as far as they are there: one that is not has been removed since the row was read,
 * and the row with it.
 */
export async function loadValues(
  sql: Pick<Sql, "query">,
  { schema, store }: Place,
  rows: readonly Row[],
  kept: (hash: string) => unknown,
): Promise<(hash: string) => unknown> {
  const wanted = new Map<string, SharedValue>();
  const found = new Map<string, unknown>();
  for (const { refs } of rows)
    for (const value of sharedOf(refs).values()) {
      const have = kept(value.hash);
      if (have === undefined) wanted.set(value.hash, value);
      else found.set(value.hash, have);
    }
  while (wanted.size > 0) {
    const portion: string[] = [];
    let bytes = 0;
    for (const { hash, bytes: own } of wanted.values()) {
      if (portion.length > 0 && bytes + own > BYTES_MAX) break;
      portion.push(hash);
      bytes += own;
    }
    const values = await sql.query(
      `select hash, val from ${schema}.value where store = $1 and hash = any($2::text[])`,
      [store, portion],
    );
    for (const { hash, val } of values)
      found.set(String(hash), parsed(String(val), wanted.get(String(hash))));
    for (const hash of portion) wanted.delete(hash);
  }
  return (hash) => found.get(hash);
}

/** What the store freezes itself is recognised when it comes back, and not looked into. */
function parsed(json: string, shared: SharedValue | undefined): unknown {
  const value: unknown = JSON.parse(json);
  if (typeof value !== "object" || value === null) return value;
  const frozen = frozenBy(value);
  if (shared !== undefined) known.set(frozen, shared);
  return frozen;
}

function frozenBy(value: object): object {
  try {
    return (freezeEntry({ value }, DEFAULT_LIMITS.depthMax + 1) as { value: object }).value;
  } catch {
    return deepFreeze(value); // what others stored may nest deeper than this process would store
  }
}

export function missing(hash: string, key: string): SessionStoreError {
  return new SessionStoreError(
    "entry_corrupt",
    `a big value of session ${JSON.stringify(key)} is no longer in the database (${hash}): somebody removed it by hand. Put the ` +
      "session again, or delete it.",
    { data: { hash, key } },
  );
}
