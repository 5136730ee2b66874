/**
 * Repairs of files that no log knows better: an entry file goes back to where it belongs, a copy of exactly what was written last takes the place of a
 * damaged one, and what nothing can repair is put aside. Only where the store is alone, and while nobody has it open.
 */
import { existsNow } from "../../../fs/status.js";
import { readRegularFile } from "../../../fs/regular-file.js";
import { ENTRY_BYTES_MAX } from "../entries-look.js";
import type { Patient } from "../patient.js";
import { isFileOf } from "../checks/entries.js";
import { findCopy, findValue } from "../sources.js";
import type { Finding, FindingCode } from "../types.js";
import { renewCatalogs } from "./catalogs.js";
import { inside } from "./foundations.js";
import type { Surgery } from "./surgery.js";

/**
 * What is known to be right goes back first, while catalogs are as they were: a store that opens with one that is damaged makes it anew of
 * the files that it finds in their places.
 */
export async function putBack(
  surgery: Surgery,
  patient: Patient,
  findings: readonly Finding[],
): Promise<void> {
  const { log } = patient;
  if (log === undefined || log.error !== undefined || log.gaps.length > 0) return;
  const known = findings.filter(({ repair, severity }) => repair === "alone" && severity === "repairable");
  const moved = await mendPlaces(surgery, patient, known);
  for (const finding of known)
    if (ENTRY_CODES.has(finding.code) && !moved.has(finding.key ?? ""))
      await surgery.attempt(patient, async () => void (await restoreOrPutAside(surgery, patient, finding)));
}

const ENTRY_CODES: ReadonlySet<FindingCode> = new Set<FindingCode>([
  "entry_damaged",
  "entry_stale",
  "entry_unsafe",
  "entry_missing",
]);

export async function mendFiles(
  surgery: Surgery,
  patient: Patient,
  findings: readonly Finding[],
): Promise<void> {
  const alone = findings.filter(({ repair }) => repair === "alone");
  const of = (...codes: readonly FindingCode[]): Finding[] =>
    alone.filter(({ code }) => codes.includes(code));
  const moved = await mendPlaces(surgery, patient, alone);
  let gone = false;
  for (const finding of of(...ENTRY_CODES))
    await surgery.attempt(patient, async () => {
      if (finding.key !== undefined && moved.has(finding.key)) return;
      if ((await restoreOrPutAside(surgery, patient, finding)) === "lost") gone = true;
    });
  const [catalog] = of("catalog_damaged", "catalog_missing", "catalog_ahead", "entry_unlisted");
  // A catalog would go on to name a session that is given up. Made anew from the files, it has what there is.
  const about = gone
    ? { code: "catalog_missing" as const, cause: "it names sessions that were given up" }
    : catalog;
  if (about !== undefined) await surgery.attempt(patient, () => renewCatalogs(surgery, patient, about));
  await mendValues(surgery, patient, of("value_damaged", "value_missing"));
  for (const finding of of("stray_file"))
    await surgery.attempt(patient, async () => {
      const path = inside(patient, finding.path);
      const kept = await surgery.putAside(patient, path, finding);
      await surgery.did(patient, finding, path, "it was put aside", { kept });
    });
}

/** All that stand in wrong places go first: two that were swapped make room for each other. @returns What was put where it belongs. */
async function mendPlaces(
  surgery: Surgery,
  patient: Patient,
  findings: readonly Finding[],
): Promise<ReadonlyMap<string, Buffer>> {
  const moved = new Map<string, Buffer>();
  for (const finding of findings)
    if (finding.code === "entry_misplaced")
      await surgery.attempt(patient, () => takeAway(surgery, patient, finding, moved));
  for (const [key, bytes] of moved)
    await surgery.attempt(patient, () => putWhereItBelongs(surgery, patient, key, bytes));
  return moved;
}

async function takeAway(
  surgery: Surgery,
  patient: Patient,
  finding: Finding,
  moved: Map<string, Buffer>,
): Promise<void> {
  const { fs } = patient;
  const path = inside(patient, finding.path);
  const { key } = finding;
  const bytes = Buffer.from(readRegularFile(fs, path, { bytesMax: ENTRY_BYTES_MAX }));
  const entries = await patient.entries();
  const look = entries.byFolder.get(path.split("/").at(-2) ?? "");
  const isTruth =
    look?.state.kind === "whole" && isFileOf(patient, entries, look.state.key, look.state.revision);
  const kept = await surgery.putAside(patient, path, finding);
  if (isTruth && key !== undefined) moved.set(key, bytes);
  else await surgery.did(patient, finding, path, "it was put aside: its session has its own file", { kept });
}

async function putWhereItBelongs(
  surgery: Surgery,
  patient: Patient,
  key: string,
  bytes: Buffer,
): Promise<void> {
  const { layout, fs } = patient;
  const path = layout.entryFile(key);
  if (existsNow(fs, path))
    await surgery.putAside(patient, path, { code: "entry_damaged", cause: "it was damaged", key });
  await surgery.place(patient, path, bytes);
  await surgery.did(patient, { code: "entry_misplaced", key }, path, "its file was put where it belongs");
}

/** @returns "lost" if a session that the catalog knows has no file any more. */
async function restoreOrPutAside(
  surgery: Surgery,
  patient: Patient,
  finding: Finding,
): Promise<"restored" | "lost"> {
  const { key } = finding;
  const { fs, layout, catalog } = patient;
  const path = inside(patient, finding.path);
  const copy = key === undefined ? undefined : findCopy(patient, key, catalog.rows?.get(key)?.revision);
  const kept = existsNow(fs, path) ? await surgery.putAside(patient, path, finding) : undefined;
  if (key !== undefined && copy !== undefined) {
    await surgery.place(patient, layout.entryFile(key), copy.bytes);
    const done = `restored from ${patient.real(copy.path)}, revision ${copy.revision}`;
    await surgery.did(patient, finding, layout.entryFile(key), done, { kept });
    return "restored";
  }
  // Through a link or from a folder that nobody can tell the key of, nothing is missed that was known.
  const known = key !== undefined && patient.log?.states.has(key) === true;
  const done = known
    ? "it was put aside; the log has the session"
    : kept === undefined
      ? "the session is given up: nothing of it is left but its transcripts"
      : "it was put aside, and its session is given up; transcripts stay";
  if (key !== undefined && !known) surgery.givenUp.set(key, catalog.rows?.get(key)?.revision);
  await surgery.did(patient, finding, path, done, { kept, lost: !known });
  return key !== undefined && catalog.rows?.has(key) === true && !known ? "lost" : "restored";
}

async function mendValues(surgery: Surgery, patient: Patient, findings: readonly Finding[]): Promise<void> {
  const { layout, fs } = patient;
  const swapped = findings.flatMap(({ code, path }) =>
    code === "value_damaged" ? [inside(patient, path)] : [],
  );
  /** Found before anything is moved: of two that were swapped, each is where the other was. */
  const found = new Map<string, Buffer>();
  for (const { hash } of findings) {
    if (hash === undefined || found.has(hash)) continue;
    const bytes = findValue(patient, hash, swapped);
    if (bytes !== undefined) found.set(hash, bytes);
  }
  for (const finding of findings) {
    const { hash, code } = finding;
    if (hash === undefined) continue;
    await surgery.attempt(patient, async () => {
      const path = layout.blob(hash);
      const bytes = found.get(hash);
      const kept =
        code === "value_damaged" && existsNow(fs, path)
          ? await surgery.putAside(patient, path, finding)
          : undefined;
      if (bytes !== undefined && !existsNow(fs, path)) {
        await surgery.place(patient, path, bytes);
        await surgery.did(patient, finding, path, "its content was found elsewhere, and put back", { kept });
      } else if (kept !== undefined) await surgery.did(patient, finding, path, "it was put aside", { kept });
    });
  }
}
