/**
 * How the writes of one session differ: which options they take, whether they look before they write, and what
 * an `ifRevision` that does not hold means to them.
 */
import type { CommitOptions, EngineRecord } from "../engine/contract.js";
import { SessionStoreError } from "../errors.js";
import { optionalInteger, optionalSignal, requireKnownNames, requireObject } from "./arguments.js";
import type { WriteOptions } from "./types.js";

export interface Method {
  readonly name: string;
  readonly optionNames: ReadonlySet<string>;
  /** Smallest `ifRevision` that makes sense; only `put` can ask for "must not exist". */
  readonly ifRevisionMin: number;
  readonly readsBase: boolean;
  /** A missing session is `not_found`, whatever `ifRevision` says. */
  readonly mustExist: boolean;
  readonly commit: CommitOptions | undefined;
}

const WRITE_OPTIONS: ReadonlySet<string> = new Set(["ifRevision", "signal"]);
const WAIT_OPTIONS: ReadonlySet<string> = new Set(["signal"]);
const TRANSACT_OPTIONS: ReadonlySet<string> = new Set([...WAIT_OPTIONS, "operation"]);
const SKIP_UNCHANGED: CommitOptions = { skipUnchanged: true };

export const PUT: Method = {
  name: "put",
  optionNames: WRITE_OPTIONS,
  ifRevisionMin: 0,
  readsBase: false,
  mustExist: false,
  commit: undefined,
};
export const PATCH: Method = {
  name: "patch",
  optionNames: WRITE_OPTIONS,
  ifRevisionMin: 1,
  readsBase: true,
  mustExist: true,
  commit: SKIP_UNCHANGED,
};
export const UPDATE: Method = { ...PATCH, name: "update", optionNames: WAIT_OPTIONS, mustExist: false };
export const DELETE: Method = { ...PATCH, name: "delete", mustExist: false, commit: undefined };
/** Of a session that cannot be read: there is no base to go by, and none is needed. */
export const DELETE_DAMAGED: Method = { ...DELETE, readsBase: false };
export const TRANSACT: Method = { ...UPDATE, name: "transact", optionNames: TRANSACT_OPTIONS };

/** The options of a write, checked. @throws `TypeError` that names the option. */
export function readWriteOptions(
  method: Method,
  options: WriteOptions | undefined,
): { ifRevision: number | undefined; signal: AbortSignal | undefined } {
  if (options === undefined) return NO_OPTIONS;
  requireObject(options, "options");
  requireKnownNames(options, method.name, method.optionNames);
  return {
    ifRevision: optionalInteger(options.ifRevision, "options.ifRevision", method.ifRevisionMin),
    signal: optionalSignal(options.signal, "options.signal"),
  };
}

const NO_OPTIONS = { ifRevision: undefined, signal: undefined };

/** @throws `conflict` when the session has another revision than the caller wants. */
export function requireRevision(
  method: Method,
  key: string,
  expected: number | undefined,
  base: EngineRecord | undefined,
): void {
  const actual = base?.revision ?? 0;
  if (expected === undefined || expected === actual) return;
  if (method.mustExist && base === undefined) return;
  throw new SessionStoreError(
    "conflict",
    `could not ${method.name} session ${JSON.stringify(key)}: it has revision ${actual} and not ${expected}` +
      `${actual === 0 ? " (it does not exist)" : ""}. Nothing was written: read it again and decide anew.`,
    { data: { key, expected, actual } },
  );
}
