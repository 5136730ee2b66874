/**
 * `format.json`: which format, which store. Where it is missing or damaged, the id is still in the first line of every segment and
 * in every catalog; where those agree, the file can be written anew.
 */
import { SessionStoreError } from "../../../errors.js";
import { isMissing } from "../../../fs/missing.js";
import { openRegularFile, readRegularFile } from "../../../fs/regular-file.js";
import { namesInNow } from "../../../fs/status.js";
import { readAt } from "../../../fs/read-at.js";
import { lineValue } from "../../../format/checked-line.js";
import { catalogNumber, segmentNumber } from "../../../format/layout.js";
import { parseLogLines } from "../../../format/log-line.js";
import { FORMAT, FORMAT_BYTES_MAX, type Patient } from "../patient.js";
import type { Finding } from "../types.js";
import type { Check } from "./check.js";

/** A header is some hundred bytes, a catalog's own line some thousand. */
const FIRST_LINE_BYTES = 64 * 1024;

export const checkFormat: Check = {
  name: "format",
  level: "quick",
  look(patient) {
    const finding = findingOf(patient);
    return finding === undefined ? [] : [finding];
  },
};

function findingOf(patient: Patient): Finding | undefined {
  const { layout, fs } = patient;
  const path = layout.format;
  let text: string;
  try {
    text = readRegularFile(fs, path, { bytesMax: FORMAT_BYTES_MAX }).toString("utf8");
  } catch (error) {
    if (isMissing(error)) return broken(patient, "format_missing", "it is missing beside the store's log");
    if (error instanceof SessionStoreError) return broken(patient, "format_damaged", error.message);
    throw error;
  }
  let value: Record<string, unknown>;
  try {
    value = (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    return broken(patient, "format_damaged", text === "" ? "it is empty" : "it is not JSON");
  }
  const { kind, format, minor, storeId } = value;
  if (kind !== "sessiondir" || !Number.isSafeInteger(format))
    return broken(patient, "format_damaged", "it does not describe a session store");
  if (format !== FORMAT) {
    const newer = Number(format) > FORMAT;
    return patient.finding({
      code: "format_unsupported",
      severity: "needs-you",
      path,
      cause: `it names format ${String(format)}, and this version knows format ${FORMAT}`,
      next: newer
        ? "update sessiondir; if no newer version ever wrote this store, restore this one file from a backup of it"
        : `${patient.command("rollback")} with the version that made it, then sessiondir migrate of this one`,
    });
  }
  if (typeof storeId !== "string" || storeId === "")
    return broken(patient, "format_damaged", "it has no storeId");
  const ids = storeIdsElsewhere(patient);
  if (ids.size === 1 && !ids.has(storeId))
    return patient.finding({
      code: "format_foreign",
      severity: "repairable",
      path,
      cause: `it says store ${storeId}, while the log and the catalogs all are of store ${[...ids].join()}`,
      next: patient.fix("alone"),
      repair: "alone",
    });
  if (typeof minor !== "number" || minor <= 0) return undefined;
  return patient.finding({
    code: "format_newer_minor",
    severity: "note",
    path,
    cause: `a newer version of sessiondir has written here (format ${FORMAT}.${minor}), which this one may ignore`,
    next: "update sessiondir when you can",
  });
}

function broken(patient: Patient, code: "format_missing" | "format_damaged", cause: string): Finding {
  const ids = storeIdsElsewhere(patient);
  const path = patient.layout.format;
  if (ids.size > 1)
    return patient.finding({
      code,
      severity: "needs-you",
      path,
      cause: `${cause}, and log and catalogs are of different stores (${[...ids].join(", ")})`,
      next: "restore this one file from a backup of the same store",
    });
  const from = ids.size === 1 ? "the store's id is known from its log" : "no log is left that has an id";
  return patient.finding({
    code,
    severity: "repairable",
    path,
    cause: `${cause}; ${from}`,
    next: patient.fix("alone"),
    repair: "alone",
  });
}

/** The ids that segments and catalogs name. */
export function storeIdsElsewhere({ fs, layout }: Patient): Set<string> {
  const ids = new Set<string>();
  for (const name of namesInNow(fs, layout.log)) {
    const header = segmentNumber(name) === undefined ? undefined : firstLine(fs, `${layout.log}/${name}`);
    if (header === undefined) continue;
    const [first] = parseLogLines(header, 0, header.length);
    if (first?.at === 0 && first.line.kind === "header") ids.add(first.line.header.store);
  }
  for (const name of namesInNow(fs, layout.store)) {
    const line = catalogNumber(name) === undefined ? undefined : firstLine(fs, `${layout.store}/${name}`);
    const store = line === undefined ? undefined : lineValue(line)?.["store"];
    if (typeof store === "string" && store !== "") ids.add(store);
  }
  return ids;
}

/** The first line of a file without its newline; undefined where there is none that could be looked at. */
export function firstLine(fs: Patient["fs"], path: string): Buffer | undefined {
  try {
    const { fd } = openRegularFile(fs, path, "read", { bytesMax: Number.MAX_SAFE_INTEGER });
    try {
      const bytes = readAt(fs, fd, FIRST_LINE_BYTES, 0);
      const end = bytes.indexOf(0x0a);
      return end < 0 ? undefined : bytes.subarray(0, end);
    } finally {
      fs.close(fd);
    }
  } catch {
    return undefined; // the check of the log says what is wrong with it
  }
}
