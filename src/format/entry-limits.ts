/** The typed errors of {@link Limits} that concern an entry; the numbers are in `data`. */
import { SessionStoreError } from "../errors.js";
import type { Limits } from "./limits.js";

type EntryLimitCode = "entry_too_large" | "record_too_large" | "blob_too_large" | "value_too_deep";

const EXPLANATIONS: Readonly<Record<EntryLimitCode, (actual: number, limit: number) => string>> = {
  entry_too_large: (actual, limit) => `has ${actual} bytes or more; at most ${limit} are allowed`,
  record_too_large: (actual, limit) =>
    `has ${actual} bytes besides its big values; at most ${limit} fit into a log record`,
  blob_too_large: (actual, limit) => `has a value of ${actual} bytes; at most ${limit} are allowed`,
  value_too_deep: (actual, limit) => `nests ${actual} levels or more; at most ${limit} are allowed`,
};

/**
 * @param where Path of the value inside the entry, as in `entry.origin.labels[3]`; `entry` for all of it.
 * @param key The session, where it is known.
 */
export function limitError(
  code: EntryLimitCode,
  where: string,
  numbers: { readonly limit: number; readonly actual: number },
  key: string | undefined,
): SessionStoreError {
  const { limit, actual } = numbers;
  const whose = key === undefined ? "" : ` of session "${key}"`;
  return new SessionStoreError(code, `${where}${whose} ${EXPLANATIONS[code](actual, limit)}`, {
    data: key === undefined ? { limit, actual, path: where } : { limit, actual, path: where, key },
  });
}

/** Whether an entry of these bytes, inline and in its big values, is within the limits. */
export function fitsLimits(inlineBytes: number, blobBytes: number, limits: Limits): boolean {
  return inlineBytes <= limits.recordBytesMax && inlineBytes + blobBytes <= limits.entryBytesMax;
}

/** The same with exact numbers; throws unless they fit. */
export function assertFitsLimits(
  inlineBytes: number,
  blobBytes: number,
  limits: Limits,
  key: string | undefined,
): void {
  const total = inlineBytes + blobBytes;
  const { entryBytesMax, recordBytesMax } = limits;
  if (total > entryBytesMax) {
    throw limitError("entry_too_large", "entry", { limit: entryBytesMax, actual: total }, key);
  }
  if (inlineBytes > recordBytesMax) {
    throw limitError("record_too_large", "entry", { limit: recordBytesMax, actual: inlineBytes }, key);
  }
}
