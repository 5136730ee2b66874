/**
 * Repairs without which the store does not open: `.store`, `format.json`, segments that cannot be used, links. Only where the
 * store is alone, and while nobody has it open.
 */
import { SessionStoreError } from "../../../errors.js";
import { liveRun, segmentNumber } from "../../../format/layout.js";
import { existsNow, namesInNow } from "../../../fs/status.js";
import { plural } from "../../../plural.js";
import { rebuildDirectoryStoreOn } from "../../../store/rebuild.js";
import { storeIdsElsewhere } from "../checks/format.js";
import { FORMAT, type Patient } from "../patient.js";
import type { Finding, FindingCode } from "../types.js";
import type { Surgery } from "./surgery.js";

const STORE_ID_BYTES = 16;

export async function mendFoundations(
  surgery: Surgery,
  patient: Patient,
  findings: readonly Finding[],
): Promise<void> {
  const alone = findings.filter(({ repair }) => repair === "alone");
  // What is said of a log means nothing until it is known whose it has to be.
  const first = alone.filter(({ code }) => FIRST.has(code));
  for (const finding of first.length > 0 ? first : alone)
    await surgery.attempt(patient, () => mendOne(surgery, patient, finding));
}

const FIRST: ReadonlySet<FindingCode> = new Set<FindingCode>([
  "store_incomplete",
  "format_missing",
  "format_damaged",
  "format_foreign",
]);

async function mendOne(surgery: Surgery, patient: Patient, finding: Finding): Promise<void> {
  switch (finding.code) {
    case "store_incomplete":
      return rebuild(surgery, patient, finding);
    case "format_missing":
    case "format_damaged":
    case "format_foreign":
      return writeFormat(surgery, patient, finding);
    case "log_foreign":
    case "segment_missing":
      return setSegmentAside(surgery, patient, finding);
    case "log_unusable":
      return setLogAside(surgery, patient, finding);
    case "link_found": {
      const path = inside(patient, finding.path);
      const kept = await surgery.putAside(patient, path, finding);
      return surgery.did(patient, finding, path, "the link was put aside", { kept });
    }
    default:
  }
}

/**
 * A path of a finding, by way of the folder that is held open.
 * @throws `file_unsafe` for one that is not in the store, whatever its beginning is: no repair touches anything else.
 */
export function inside({ path, layout }: Pick<Patient, "path" | "layout">, real: string): string {
  const names = real.slice(path.length);
  if (real.startsWith(path) && (names === "" || names.startsWith("/")) && !names.split("/").includes(".."))
    return layout.root + names;
  throw new SessionStoreError(
    "file_unsafe",
    `${real} is not in the store ${path}, and is left as it is. Nothing was changed: look at what is there.`,
    { data: { path: real } },
  );
}

async function rebuild(surgery: Surgery, patient: Patient, finding: Finding): Promise<void> {
  const { fs, runtime, path, options } = patient;
  const { trust, signal } = options;
  const report = await rebuildDirectoryStoreOn(fs, runtime, path, { trust, signal });
  surgery.rebuilt = true;
  const { sessions, renamed, damaged } = report;
  const parts = [`.store was made anew of ${plural(sessions, "session")}, up to revision ${report.revision}`];
  if (renamed.length > 0) parts.push(`${plural(renamed.length, "folder")} got the right name`);
  if (damaged.length > 0) parts.push(`${plural(damaged.length, "file")} cannot be read`);
  await surgery.did(patient, finding, patient.layout.store, parts.join("; "));
}

/** The id that the log and the catalogs name; a new one only where nothing is left that could name another. */
async function writeFormat(surgery: Surgery, patient: Patient, finding: Finding): Promise<void> {
  const { fs, layout, runtime } = patient;
  const [known, ...others] = storeIdsElsewhere(patient);
  if (others.length > 0) return;
  const path = layout.format;
  const kept = existsNow(fs, path) ? await surgery.putAside(patient, path, finding) : undefined;
  const storeId = known ?? runtime.randomName(STORE_ID_BYTES);
  const createdAt = Math.trunc(runtime.now());
  const text = JSON.stringify({ kind: "sessiondir", format: FORMAT, storeId, createdAt });
  await surgery.place(patient, path, Buffer.from(`${text}\n`));
  const source =
    known === undefined
      ? "with a new id, for nothing is left that has the old one"
      : "with the id that its log has";
  await surgery.did(patient, finding, path, `it was written anew ${source}`, { kept });
}

async function setSegmentAside(surgery: Surgery, patient: Patient, finding: Finding): Promise<void> {
  const { fs, layout } = patient;
  const path = inside(patient, finding.path);
  if (!existsNow(fs, path)) {
    // What said that it must be there is all that is left of it.
    const kept = await surgery.putAside(patient, layout.durable, finding);
    return surgery.did(patient, finding, path, "it is gone: the store goes on without it", {
      kept,
      lost: true,
    });
  }
  const kept = await surgery.putAside(patient, path, finding);
  return surgery.did(patient, finding, path, "the segment was put aside", { kept, lost: true });
}

/** All of them: what a later one has builds on the one that cannot be read. The sessions' files are what is left. */
async function setLogAside(surgery: Surgery, patient: Patient, finding: Finding): Promise<void> {
  const { fs, layout } = patient;
  for (const number of liveRun(namesInNow(fs, layout.log).flatMap((name) => segmentNumber(name) ?? []))) {
    const path = layout.segment(number);
    const kept = await surgery.putAside(patient, path, finding);
    await surgery.did(patient, finding, path, "the segment was put aside: nothing says where it begins", {
      kept,
      lost: true,
    });
  }
}
