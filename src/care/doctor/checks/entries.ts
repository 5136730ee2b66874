/**
 * Entry files against the log and the catalog: damaged, of another session, older than what was written, missing.
 *
 * The log goes before the files: what it has is written into them again. Of a session that it does not have, its file is all
 * there is, and a copy counts only if it is of the very revision that the catalog names.
 */
import { folderNameForKey } from "../../../format/session-key.js";
import type { EntriesLook, EntryLook } from "../entries-look.js";
import type { Patient } from "../patient.js";
import { findCopy } from "../sources.js";
import type { Finding, FindingCode } from "../types.js";
import type { Check } from "./check.js";

export const checkEntries: Check = {
  name: "entries",
  level: "default",
  needsLog: true,
  withoutStore: true,
  async look(patient) {
    const entries = await patient.entries();
    const { rows } = patient.catalog;
    const ward = new Ward(patient, entries, keysByFolder(patient));
    const findings: Finding[] = [];
    for (const entry of entries.all) findings.push(...ward.findingsOf(entry));
    for (const key of rows?.keys() ?? []) findings.push(...ward.missing(key));
    return [...findings, ...(await inDoubt(patient))];
  },
};

/** Whose a folder with a hashed name is: a key that the catalog or the log has. */
function keysByFolder({ catalog, log }: Patient): Map<string, string> {
  const keys = new Map<string, string>();
  for (const key of catalog.rows?.keys() ?? []) keys.set(folderNameForKey(key), key);
  for (const key of log?.states.keys() ?? []) keys.set(folderNameForKey(key), key);
  return keys;
}

/** Whether a file that stands elsewhere is what its session has: no other is in its place, the log does not have it, and it is not old. */
export function isFileOf(
  { log, catalog }: Patient,
  entries: EntriesLook,
  key: string,
  revision: number,
): boolean {
  if (entries.placed.has(key) || log?.states.has(key) === true) return false;
  const row = catalog.rows?.get(key);
  if (row !== undefined) return row.revision === revision;
  return catalog.rows === undefined || catalog.incomplete;
}

class Ward {
  constructor(
    private readonly patient: Patient,
    private readonly entries: EntriesLook,
    private readonly keys: ReadonlyMap<string, string>,
  ) {}

  findingsOf(entry: EntryLook): Finding[] {
    const { state, folder, path } = entry;
    const key = entry.ownKey ?? this.keys.get(folder);
    switch (state.kind) {
      case "none":
      case "unread":
        return [];
      case "unsafe":
        return [this.#broken("entry_unsafe", key, state.path, undefined, state.reason)];
      case "damaged":
        return [this.#broken("entry_damaged", key, path, state.offset, state.reason)];
      case "whole":
        return folderNameForKey(state.key) === folder
          ? this.#compared(state.key, state.revision, path)
          : this.#misplaced(entry, state.key, state.revision);
    }
  }

  /** A session that the catalog has, and no file. */
  missing(key: string): Finding[] {
    const { log, layout } = this.patient;
    if (log?.states.has(key) === true) return []; // deleted, or not written yet
    const folder = folderNameForKey(key);
    const there = this.entries.byFolder.get(folder)?.state.kind;
    if (there !== undefined && there !== "none") return [];
    return [
      this.#broken(
        "entry_missing",
        key,
        layout.entryFile(key),
        undefined,
        "it is missing, and the catalog knows it",
      ),
    ];
  }

  /** Whole, and in its place. */
  #compared(key: string, revision: number, path: string): Finding[] {
    const { log, catalog } = this.patient;
    const row = catalog.rows?.get(key);
    if (log?.states.has(key) === true) return [];
    if (row !== undefined && row.revision > revision) {
      const cause = `it has revision ${revision}, and the catalog knows revision ${row.revision}: an older copy was put back`;
      return [this.#broken("entry_stale", key, path, undefined, cause)];
    }
    if (log === undefined || log.error !== undefined) return [];
    const findings: Finding[] = [];
    if (row === undefined && catalog.isWhole)
      findings.push(
        this.patient.finding({
          code: "entry_unlisted",
          severity: "repairable",
          path,
          key,
          cause:
            "it is whole, and neither the log nor the catalog knows it: a get finds the session, a listing does not. " +
            "It came from a copy, or was put back after the session was deleted",
          next: `move the file away if the session is not wanted; otherwise ${this.patient.fix("alone")} lists it`,
          repair: "alone",
        }),
      );
    if (revision <= log.revision) return findings;
    return [
      ...findings,
      this.patient.finding({
        code: "entry_ahead",
        severity: "note",
        path,
        key,
        cause: `it has revision ${revision}, and the log ends at ${log.revision}: the store was copied while it was in use, or lost the end of its log`,
        next: "nothing, it counts as it is; see whether other sessions lack their last changes",
      }),
    ];
  }

  #misplaced(entry: EntryLook, key: string, revision: number): Finding[] {
    const { patient } = this;
    const { path, folder } = entry;
    const own = entry.ownKey ?? this.keys.get(folder);
    const isTruth = isFileOf(patient, this.entries, key, revision);
    const says = `it is the file of session ${JSON.stringify(key)}, whose folder is ${folderNameForKey(key)}`;
    if (isTruth)
      return [
        patient.finding({
          code: "entry_misplaced",
          severity: "repairable",
          path,
          key,
          cause: `${says}, and that has none`,
          next: patient.fix("alone"),
          repair: "alone",
        }),
      ];
    const isOurs = own !== undefined;
    return [
      patient.finding({
        code: "entry_misplaced",
        severity: isOurs ? "repairable" : "note",
        path,
        key,
        cause: `${says}; nobody reads it here`,
        next: isOurs ? patient.fix("alone") : "remove the copy if nobody needs it",
        ...(isOurs && { repair: "alone" as const }),
      }),
      // Whose folder it is has lost its own file.
      ...(own !== undefined && this.#hasLost(own)
        ? [this.#broken("entry_missing", own, path, undefined, `another session's file stands in its place`)]
        : []),
    ];
  }

  #hasLost(key: string): boolean {
    const { log, catalog } = this.patient;
    return catalog.rows?.has(key) === true && log?.states.has(key) !== true;
  }

  #broken(
    code: FindingCode,
    key: string | undefined,
    path: string,
    offset: number | undefined,
    reason: string,
  ): Finding {
    const { patient } = this;
    const { log, catalog } = patient;
    const place = {
      code,
      path,
      ...(key !== undefined && { key }),
      ...(offset !== undefined && { offset }),
    };
    if (key !== undefined && log?.states.has(key) === true)
      return patient.finding({
        ...place,
        severity: "repairable",
        cause: `${reason}; the log has the session, so nobody is harmed`,
        next: patient.fix("live"),
        repair: code === "entry_unsafe" ? "alone" : "live",
      });
    const row = key === undefined ? undefined : catalog.rows?.get(key);
    const copy = key === undefined ? undefined : findCopy(patient, key, row?.revision);
    if (copy !== undefined)
      return patient.finding({
        ...place,
        severity: "repairable",
        cause: `${reason}; ${copy.path} has revision ${copy.revision} of it, which is the one that was written last`,
        next: patient.fix("alone"),
        repair: "alone",
      });
    return patient.finding({
      ...place,
      severity: "lost",
      cause: `${reason}, and neither the log nor a copy has the session`,
      next:
        `restore the file from a backup of the same moment, or name the backup: ` +
        `${patient.command("doctor", "--fix", "--alone", "--backup", "PATH")}; without one, ${patient.fix("alone")} keeps what is there aside`,
      repair: "alone",
    });
  }
}

/** Sessions of which the log hides the latest state. */
async function inDoubt(patient: Patient): Promise<Finding[]> {
  const { log } = patient;
  if (log === undefined || log.gaps.length === 0) return [];
  const opened = await patient.opened();
  if ("error" in opened) return [];
  const { damaged = [] } = await opened.store.list({ limit: 1 });
  const paths = new Set(log.gaps.map(({ path }) => patient.real(path)));
  return damaged
    .filter(({ path }) => paths.has(path))
    .map(({ key, path, reason }) =>
      patient.finding({
        code: "session_in_doubt",
        severity: "repairable",
        path,
        ...(key !== undefined && { key }),
        cause: `its latest state cannot be read: ${reason}`,
        next: patient.fix("alone"),
        repair: "alone",
      }),
    );
}
